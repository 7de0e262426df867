/** Why the settings of a change cannot be applied: one word, and all problems. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly code: 'ModuleLoadFailed' | 'SysctlFailed' | 'OriginalsNotSaved';

  constructor(code: SettingsError['code'], message: string) {
    super(message);
    this.code = code;
  }
}
