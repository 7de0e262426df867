import type { ImplementedMode } from '../core/mode.ts';
import type { Dataplane } from '../kernel/dataplane.ts';

/**
 * A data plane whose kernel modules are not loaded. None of our rules can be there then, and only to look for them would make
 * the kernel load the modules, so it says so without looking; for everything else, and once they are loaded, it is opened.
 */
export function unaskedDataplane(mode: ImplementedMode, open: () => Dataplane, mayHold: () => boolean): Dataplane {
  let opened: Dataplane | undefined;
  const inner = () => (opened ??= open());
  const answers: Partial<Dataplane> = {
    mode,
    isPresent: () => (mayHold() ? inner().isPresent() : Promise.resolve(false)),
    remove: () => (mayHold() ? inner().remove() : Promise.resolve()),
    close: () => opened?.close(),
  };
  return new Proxy({} as Dataplane, {
    get(_target, name) {
      if (name in answers) return answers[name as keyof Dataplane];
      const value: unknown = Reflect.get(inner(), name);
      return typeof value === 'function' ? (value.bind(inner()) as unknown) : value;
    },
  });
}
