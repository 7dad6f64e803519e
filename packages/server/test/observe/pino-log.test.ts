import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { createPinoLog } from '../../src/observe/pino-log.ts';

const MODULE = new URL('../../src/observe/pino-log.ts', import.meta.url).href;

/** What a process of its own writes: standard error belongs to the whole process. */
function written(level: string): { readonly stdout: string; readonly lines: unknown[] } {
  const script = `
    import { createPinoLog } from '${MODULE}';
    const log = createPinoLog('${level}', 'n1');
    log.debug({}, 'quiet');
    log.warn({ channel: 'news', error: new Error('broken') }, 'it broke');
  `;
  const args = ['--input-type=module-typescript', '--eval', script];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const lines = stderr.split('\n').filter((line) => line !== '');
  return { stdout, lines: lines.map((line) => JSON.parse(line)) };
}

describe('the log', () => {
  test('writes one JSON line an event to standard error, with the node and the error', () => {
    const { stdout, lines } = written('info');
    expect(stdout).toBe('');
    expect(lines).toMatchObject([
      { node: 'n1', msg: 'it broke', channel: 'news', error: { message: 'broken' } },
    ]);
  });

  test('says nothing when it is silent', () => {
    expect(written('silent').lines).toEqual([]);
    expect(() => createPinoLog('silent', 'n1').error({}, 'nobody hears')).not.toThrow();
  });
});
