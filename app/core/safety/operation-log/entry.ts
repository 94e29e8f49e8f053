export type OperationEvent = 'attempted' | 'denied' | 'succeeded' | 'failed' | 'interrupted';
export function operationEntry(x: object) {
  return x;
}
