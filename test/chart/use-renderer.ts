import { after, before } from 'node:test';
import { ChartRenderer, rendererIsMissing } from './chart-renderer.ts';

/** For a suite's `skip`: why it cannot run here, or false. */
export const SKIP_WITHOUT_RENDERER: string | false = rendererIsMissing() ?? false;

/** A renderer for the tests of the suite around the call; calling the result gives it. */
export function useRenderer(): () => ChartRenderer {
  let renderer: ChartRenderer | undefined;
  before(() => {
    renderer = new ChartRenderer();
  });
  after(() => renderer?.close());
  return () => {
    if (!renderer) throw new Error('the renderer did not start');
    return renderer;
  };
}
