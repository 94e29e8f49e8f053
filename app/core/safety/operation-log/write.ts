export async function writeOperationEntry(_a: object, _b: object) {
  return 'file';
}
