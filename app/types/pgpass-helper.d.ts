declare module 'pgpass/lib/helper.js' {
  import type { Readable } from 'node:stream';

  interface PasswordFileHelper {
    getFileName(environment: NodeJS.ProcessEnv): string;
    getPassword(
      connection: { host: string; port: number; database: string; user: string },
      stream: Readable,
      callback: (password: string | undefined) => void,
    ): void;
  }
  const helper: PasswordFileHelper;
  export default helper;
}
