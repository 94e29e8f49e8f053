import { redact } from '../../config/redaction.js';
import { codeOf, type ErrorCode, errorWith, ManageDbError, messageOf } from '../../core/errors.js';

/** What was being done, for the message: `writing a.dump to s3://bucket`. */
export interface S3Work {
  readonly work: string;
  readonly signal?: AbortSignal | undefined;
}

const WRONG_CREDENTIALS = [
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
];
const TIMEOUTS = ['TimeoutError', 'RequestTimeout', 'ETIMEDOUT'];
const CONNECTION_LOST = ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'];

/** What S3, the network or the credentials have said, as an error for a person. */
export function s3Error(error: unknown, { work, signal }: S3Work): ManageDbError {
  if (error instanceof ManageDbError) return error;
  if (signal?.aborted) return new ManageDbError('INTERRUPTED', 'Interrupted.', { cause: error });
  const [code, what, hint] = classified(error);
  const status = statusOf(error);
  return errorWith(code, `${capitalized(work)} has failed: ${what}.`, {
    hint,
    details: { error: nameOf(error), ...(status === undefined ? {} : { status }) },
    cause: error,
  });
}

/** Whether `error` says that the object is not there. */
export function isMissing(error: unknown): boolean {
  return (
    ['NoSuchKey', 'NotFound'].includes(nameOf(error)) || (statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket')
  );
}

/** Whether the same request may well succeed a moment later. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error) ?? 0;
  const names = [nameOf(error), codeOf(error) ?? ''];
  return (
    status >= 500 ||
    status === 429 ||
    names.some((name) => [...TIMEOUTS, ...CONNECTION_LOST, 'ECONNREFUSED'].includes(name))
  );
}

function classified(error: unknown): [code: ErrorCode, what: string, hint: string] {
  const name = nameOf(error);
  const status = statusOf(error) ?? 0;
  const names = [name, codeOf(error) ?? ''];
  const said = redact(messageOf(error)).replace(/\.$/, '');
  const network = 'Check the endpoint and the network, and try again.';
  if (name === 'CredentialsProviderError') {
    return ['MISSING_SETTING', 'there are no credentials', 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.'];
  }
  if (said === 'Region is missing') return ['MISSING_SETTING', 'there is no region', 'Set AWS_REGION.'];
  if (WRONG_CREDENTIALS.includes(name)) {
    return [
      'AUTHENTICATION_FAILED',
      `the credentials are wrong or have expired (${name})`,
      'Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.',
    ];
  }
  if (status === 403) {
    return [
      'PERMISSION_DENIED',
      `access was denied (${said})`,
      'Check the credentials, and what their policy allows in this bucket.',
    ];
  }
  if (name === 'NoSuchBucket')
    return ['NOT_FOUND', 'there is no such bucket', 'Create it, or check its name and the region.'];
  if (isMissing(error)) return ['NOT_FOUND', 'it is not there', 'Check the name and the prefix.'];
  if (names.includes('ENOTFOUND') || names.includes('EAI_AGAIN')) return ['HOST_NOT_FOUND', said, network];
  if (names.includes('ECONNREFUSED')) return ['CONNECTION_REFUSED', said || 'the connection was refused', network];
  if (names.some((one) => TIMEOUTS.includes(one)))
    return ['CONNECTION_TIMEOUT', `no answer came in time (${said})`, network];
  if (names.some((one) => CONNECTION_LOST.includes(one)))
    return ['CONNECTION_LOST', `the connection was lost (${said})`, network];
  if (status >= 500 || status === 429) {
    return ['SERVER_UNAVAILABLE', `the storage could not answer (${status} ${name})`, 'Try again in a while.'];
  }
  return ['STORAGE_FAILED', said === '' ? name : said, 'Check the bucket, the region and the endpoint.'];
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
