import type { Node, ObjectType } from 'libpg-query';
import { type NodeReaders, readNode, tagOf } from './parse-tree.js';

/**
 * What a statement does, in the words with which it begins: `create function`, `alter table`, `insert`, `transaction`.
 * What has no line here is called as the parser calls it: `CreatePolicyStmt` is `create policy`.
 */
export function statementKind(node: Node): string {
  return readNode(node, KINDS) ?? wordsOf(tagOf(node).replace(/Stmt$/, ''));
}

/** `OBJECT_MATVIEW` as `materialized view`. */
export function objectWords(type: ObjectType | undefined): string {
  return (
    OBJECT_WORDS[type ?? ''] ??
    (type ?? '')
      .replace(/^OBJECT_/, '')
      .replaceAll('_', ' ')
      .toLowerCase()
  );
}

const OBJECT_WORDS: Readonly<Record<string, string>> = {
  OBJECT_ATTRIBUTE: 'type',
  OBJECT_DEFACL: 'default privileges',
  OBJECT_DOMCONSTRAINT: 'domain',
  OBJECT_FDW: 'foreign data wrapper',
  OBJECT_FOREIGN_SERVER: 'server',
  OBJECT_LARGEOBJECT: 'large object',
  OBJECT_MATVIEW: 'materialized view',
  OBJECT_OPCLASS: 'operator class',
  OBJECT_OPFAMILY: 'operator family',
  OBJECT_STATISTIC_EXT: 'statistics',
  OBJECT_TABCONSTRAINT: 'constraint',
  OBJECT_TSCONFIGURATION: 'text search configuration',
  OBJECT_TSDICTIONARY: 'text search dictionary',
  OBJECT_TSPARSER: 'text search parser',
  OBJECT_TSTEMPLATE: 'text search template',
};

const KINDS: NodeReaders<string> = {
  CreateStmt: () => 'create table',
  CreateTableAsStmt: ({ objtype }) => (objtype === 'OBJECT_MATVIEW' ? 'create materialized view' : 'create table as'),
  SelectStmt: ({ intoClause }) => (intoClause === undefined ? 'select' : 'select into'),
  ViewStmt: () => 'create view',
  IndexStmt: () => 'create index',
  RuleStmt: () => 'create rule',
  CreateTrigStmt: () => 'create trigger',
  CreateEventTrigStmt: () => 'create event trigger',
  AlterEventTrigStmt: () => 'alter event trigger',
  CreateSeqStmt: () => 'create sequence',
  AlterSeqStmt: () => 'alter sequence',
  CreateFunctionStmt: ({ is_procedure }) => (is_procedure ? 'create procedure' : 'create function'),
  AlterFunctionStmt: ({ objtype }) => `alter ${objectWords(objtype)}`,
  DefineStmt: ({ kind }) => `create ${objectWords(kind)}`,
  CompositeTypeStmt: () => 'create type',
  CreateEnumStmt: () => 'create type',
  CreateRangeStmt: () => 'create type',
  AlterEnumStmt: () => 'alter type',
  CreateOpClassStmt: () => 'create operator class',
  CreateOpFamilyStmt: () => 'create operator family',
  AlterOpFamilyStmt: () => 'alter operator family',
  CreateStatsStmt: () => 'create statistics',
  AlterStatsStmt: () => 'alter statistics',
  CreateAmStmt: () => 'create access method',
  CreatePLangStmt: () => 'create language',
  CreateFdwStmt: () => 'create foreign data wrapper',
  AlterFdwStmt: () => 'alter foreign data wrapper',
  CreateForeignServerStmt: () => 'create server',
  AlterForeignServerStmt: () => 'alter server',
  AlterTSDictionaryStmt: () => 'alter text search dictionary',
  AlterTSConfigurationStmt: () => 'alter text search configuration',
  CreatedbStmt: () => 'create database',
  DropdbStmt: () => 'drop database',
  AlterDatabaseSetStmt: () => 'alter database',
  AlterDatabaseRefreshCollStmt: () => 'alter database',
  CreateTableSpaceStmt: () => 'create tablespace',
  DropTableSpaceStmt: () => 'drop tablespace',
  AlterTableSpaceOptionsStmt: () => 'alter tablespace',
  AlterRoleSetStmt: () => 'alter role',
  AlterExtensionContentsStmt: () => 'alter extension',
  AlterTableStmt: ({ objtype }) => `alter ${objectWords(objtype)}`,
  AlterTableMoveAllStmt: ({ objtype }) => `alter ${objectWords(objtype)}`,
  AlterOwnerStmt: ({ objectType }) => `alter ${objectWords(objectType)}`,
  AlterObjectSchemaStmt: ({ objectType }) => `alter ${objectWords(objectType)}`,
  AlterObjectDependsStmt: ({ objectType }) => `alter ${objectWords(objectType)}`,
  RenameStmt: ({ renameType, relationType }) =>
    `alter ${objectWords(renameType === 'OBJECT_COLUMN' || renameType === 'OBJECT_TABCONSTRAINT' ? relationType : renameType)}`,
  DropStmt: ({ removeType }) => `drop ${objectWords(removeType)}`,
  GrantStmt: ({ is_grant }) => (is_grant ? 'grant' : 'revoke'),
  GrantRoleStmt: ({ is_grant }) => (is_grant ? 'grant' : 'revoke'),
  SecLabelStmt: () => 'security label',
  RefreshMatViewStmt: () => 'refresh materialized view',
  VacuumStmt: ({ is_vacuumcmd }) => (is_vacuumcmd ? 'vacuum' : 'analyze'),
  VariableSetStmt: ({ kind }) => (kind === 'VAR_RESET' || kind === 'VAR_RESET_ALL' ? 'reset' : 'set'),
  VariableShowStmt: () => 'show',
  ConstraintsSetStmt: () => 'set constraints',
  CheckPointStmt: () => 'checkpoint',
  DeclareCursorStmt: () => 'declare',
  ClosePortalStmt: () => 'close',
};

function wordsOf(tag: string): string {
  return tag.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
}
