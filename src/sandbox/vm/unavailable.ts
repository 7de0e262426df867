/** This machine cannot have a virtual machine; `message` says why and what would help. A test skips with it. */
export class VmUnavailable extends Error {
  override readonly name = 'VmUnavailable';
}
