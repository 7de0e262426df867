import manifest from '../../package.json' with { type: 'json' };

/** The version of this checkout or release, from package.json. */
export const VERSION = manifest.version;
