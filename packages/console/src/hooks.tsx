/** Hooks: redraws at the pace of the screen, however fast messages come. */
import { useEffect, useReducer, useState } from 'preact/hooks';
import type { Changes } from './changes.ts';

/** Redraws the component after changes, at most once a frame. */
export function useChanges(source: Changes): void {
  const [, redraw] = useReducer((count: number, _: void) => count + 1, 0);
  useEffect(() => {
    let frame = 0;
    const onFrame = (): void => {
      frame = 0;
      redraw();
    };
    const schedule = (): void => {
      if (frame === 0) frame = requestAnimationFrame(onFrame);
    };
    const stop = source.listen(schedule);
    schedule(); // What changed between the first drawing and now.
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [source]);
}

/** The page's clock, read anew at this interval. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
