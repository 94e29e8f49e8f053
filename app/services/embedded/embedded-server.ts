import type { EmbeddedEndpoint } from '../../config/embedded-endpoint.js';
import type { OperationControls } from '../../core/progress.js';

export interface StartOptions extends OperationControls {
  /** A port of 127.0.0.1 that must be free; without it the remembered one or a free one is used. */
  readonly port?: number;
}

/** Where it listens now; the port can differ from the one that was remembered before. */
export interface EmbeddedServer extends EmbeddedEndpoint {
  readonly pid: number;
  /** It ran already before this call. */
  readonly wasRunning: boolean;
  /** This call created the cluster. */
  readonly created: boolean;
}

export interface StoppedServer {
  /** `false`: it did not run. */
  readonly stopped: boolean;
  readonly pid: number | null;
  readonly durationMs: number;
}

export interface EmbeddedStatus {
  readonly state: 'absent' | 'stopped' | 'starting' | 'running' | 'stopping';
  /** It accepts connections. */
  readonly running: boolean;
  readonly pid: number | null;
  readonly port: number | null;
  readonly dataDirectory: string;
  readonly logFile: string;
  readonly version: string | null;
  readonly systemIdentifier: string | null;
  readonly sizeBytes: number | null;
  readonly startedAt: Date | null;
  readonly uptimeSeconds: number | null;
}
