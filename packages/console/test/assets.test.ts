import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { consoleAssets } from '../src/assets.ts';

function folder(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'trunkline-assets-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}

const built = {
  'index.html': '<!doctype html><script type="module" src="/assets/index-BmjD7Dnm.js"></script>',
  'assets/index-BmjD7Dnm.js': 'export {};',
  'assets/index-AAAAbbb_.css': 'body{}',
  'assets/icon.svg': '<svg/>',
  'assets/readme.txt': 'not served',
};

describe('consoleAssets', () => {
  test('serves the built page with types, and keeps only hashed names in caches', () => {
    const assets = consoleAssets({ dist: folder(built), examples: folder({}), client: folder({}) });
    expect([...assets.keys()].sort()).toEqual([
      '/',
      '/assets/icon.svg',
      '/assets/index-AAAAbbb_.css',
      '/assets/index-BmjD7Dnm.js',
    ]);
    expect(assets.get('/')?.contentType).toBe('text/html; charset=utf-8');
    expect(assets.get('/')?.headers['cache-control']).toBe('no-cache');
    expect(assets.get('/assets/icon.svg')?.headers['cache-control']).toBe('no-cache');
    const script = assets.get('/assets/index-BmjD7Dnm.js');
    expect(script?.contentType).toBe('text/javascript; charset=utf-8');
    expect(script?.headers['cache-control']).toContain('immutable');
    expect(Buffer.from(script?.body ?? []).toString()).toBe('export {};');
  });

  test('allows the page nothing but its own files', () => {
    const assets = consoleAssets({ dist: folder(built), examples: folder({}), client: folder({}) });
    const policy = assets.get('/')?.headers['content-security-policy'] ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(policy).not.toContain('http');
  });

  test('says how to build the page when it is missing', () => {
    const missing = join(tmpdir(), 'trunkline-no-such-folder');
    const assets = consoleAssets({ dist: missing, examples: missing, client: missing });
    expect([...assets.keys()]).toEqual(['/']);
    const text = Buffer.from(assets.get('/')?.body ?? []).toString();
    expect(text).toContain('vite.js build packages/console');
  });

  test('lets an example run its own script and no other', () => {
    const script = '\nalert("<\\/b>")\n';
    const html = `<!doctype html>\r\n<script type="module">${script}</script>`;
    const examples = folder({ 'a.html': html, 'note.md': 'not served' });
    const assets = consoleAssets({ dist: folder(built), examples });
    expect(assets.has('/examples/note.md')).toBe(false);
    const policy = assets.get('/examples/a.html')?.headers['content-security-policy'];
    const hash = createHash('sha256').update(script).digest('base64');
    expect(policy).toContain(`script-src 'sha256-${hash}'`);
    expect(policy).toContain("style-src 'none'");
  });

  test('[HTTP-24] serves the client to pages of every origin, and nothing else that was built', () => {
    const client = folder({
      'client.js': 'export {};',
      'client.js.map': '{}',
      'client/core.js': 'export {};',
      'client/line-CfKCYdcj.js': 'export {};',
      'types/client/index.d.ts': 'export {};',
    });
    const assets = consoleAssets({ dist: folder(built), examples: folder({}), client });
    const served = [...assets.keys()].filter((path) => path.startsWith('/client'));
    expect(served.toSorted()).toEqual([
      '/client.js',
      '/client.js.map',
      '/client/core.js',
      '/client/line-CfKCYdcj.js',
    ]);
    expect(assets.get('/client.js')).toMatchObject({
      contentType: 'text/javascript; charset=utf-8',
      headers: { 'access-control-allow-origin': '*', 'cache-control': 'no-cache' },
    });
    expect(assets.get('/client/core.js')?.headers['cache-control']).toBe('no-cache');
    expect(assets.get('/client/line-CfKCYdcj.js')?.headers['cache-control']).toContain('immutable');
    expect(assets.get('/')?.headers).not.toHaveProperty('access-control-allow-origin');
  });

  test('serves the four examples of this checkout, and the page that names the others', () => {
    const paths = [...consoleAssets().keys()].filter((path) => path.startsWith('/examples/'));
    expect(paths.sort()).toEqual([
      '/examples/client.html',
      '/examples/eventsource.html',
      '/examples/fetch.html',
      '/examples/websocket.html',
      '/examples/xhr.html',
    ]);
  });
});
