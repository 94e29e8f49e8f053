import { scopedPrefixes } from '../core/environment-names.js';
import { isMisspelt } from '../core/nearest.js';
import { SETTINGS, type SettingDefinition } from './setting-names.js';
import { readDotenv } from './value-layers.js';

/** A variable in a file that nobody reads, and that almost has the name of a setting. */
export interface MisspeltSetting {
  readonly file: string;
  readonly name: string;
  readonly meant: string;
  /** It would decide which server or database is reached. */
  readonly isConnection: boolean;
}

/**
 * What in the `.env` files of `environment` was probably meant as a setting. A variable of the application that is a letter away
 * from one is among them, unless the setting stands beside it.
 *
 * @throws ManageDbError `UNREADABLE_FILE`
 */
export function misspeltSettings(environment: string, root: string): readonly MisspeltSetting[] {
  const known = namesOf(environment);
  return [`.env.${environment}.local`, `.env.${environment}`, '.env'].flatMap((file) => {
    const variables = readDotenv(root, file);
    return Object.keys(variables).flatMap((name) => {
      if (isSetting(name)) return [];
      const meant = known.find((one) => isMisspelt(name, one.name));
      const isSet = meant === undefined || (variables[meant.name] ?? '') !== '';
      return isSet ? [] : [{ file, name, meant: meant.name, isConnection: meant.isConnection }];
    });
  });
}

/** For people. */
export function misspeltWords({ file, name, meant }: MisspeltSetting): string {
  return `${name} in ${file} is not the name of a setting; ${meant} is`;
}

const FORMS = ['', '_FILE', '_COMMAND'];

function namesOf(environment: string) {
  return ['', ...scopedPrefixes(environment)].flatMap((prefix) =>
    Object.values<SettingDefinition>(SETTINGS).flatMap(({ variables, isConnection }) =>
      variables.flatMap((variable) => FORMS.map((form) => ({ name: `${prefix}${variable}${form}`, isConnection }))),
    ),
  );
}

/** Of whichever environment. */
function isSetting(name: string): boolean {
  return Object.values<SettingDefinition>(SETTINGS).some(({ variables }) =>
    variables.some((variable) =>
      FORMS.some((form) => name === `${variable}${form}` || name.endsWith(`_${variable}${form}`)),
    ),
  );
}
