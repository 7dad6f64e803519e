/**
 * Assets: the built page, the browser examples and the client for browsers, as answers ready to be
 * sent, by URL path.
 *
 * Runs in Node, beside a server; nothing here is part of the page. Files are read once, so a
 * request never reaches the disk and no path from a request is ever opened.
 */
import { createHash } from 'node:crypto';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One answer. */
export interface Asset {
  readonly body: Uint8Array;
  readonly contentType: string;
  /** By lower-case name; without `content-type`. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Where the files are; the defaults are this checkout's. */
export interface AssetFolders {
  /** What `vite build` wrote. */
  readonly dist?: string;
  /** The example pages; nothing is served for a folder that does not exist. */
  readonly examples?: string;
  /** What `scripts/build-client.ts` wrote; nothing is served for a folder that does not exist. */
  readonly client?: string;
}

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../../examples/browser', import.meta.url));

const CLIENT = fileURLToPath(new URL('../../client/dist', import.meta.url));

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.map': 'application/json; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
};

const COMMON_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
};

/** A name with a hash in it never gets another content. */
const CACHE_FOREVER = 'public, max-age=31536000, immutable';
const CACHE_ASK = 'no-cache';

/** [HTTP-24] Static code, the same for everyone: any page may load it, isolated ones too. */
const CLIENT_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'access-control-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
};

/** `'self'` covers `ws:` and `wss:` of the same host (CSP Level 3, §6.7.2.8). */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Trunkline</title>
<h1>Trunkline is running</h1>
<p>The console page is not built. In the checkout, run
<code>node_modules/.bin/node node_modules/vite/bin/vite.js build packages/console</code>
and start the server again. Channels work without it.</p>
</html>
`;

/** Reads them all: `/`, `/assets/…`, `/examples/…`, `/client.js` and `/client/…`. */
export function consoleAssets(folders: AssetFolders = {}): ReadonlyMap<string, Asset> {
  const assets = new Map<string, Asset>();
  readDist(folders.dist ?? DIST, assets);
  readExamples(folders.examples ?? EXAMPLES, assets);
  readClient(folders.client ?? CLIENT, assets);
  return assets;
}

function readDist(folder: string, assets: Map<string, Asset>): void {
  const index = join(folder, 'index.html');
  if (!existsSync(index)) {
    assets.set('/', page(Buffer.from(NOT_BUILT), PAGE_POLICY));
    return;
  }
  assets.set('/', page(readFileSync(index), PAGE_POLICY));
  const files = join(folder, 'assets');
  if (!existsSync(files)) return;
  for (const name of readdirSync(files)) {
    const contentType = CONTENT_TYPES[extname(name)];
    if (contentType === undefined) continue;
    assets.set(`/assets/${name}`, {
      body: readFileSync(join(files, name)),
      contentType,
      headers: {
        ...COMMON_HEADERS,
        'cache-control': isHashed(name) ? CACHE_FOREVER : CACHE_ASK,
      },
    });
  }
}

function readExamples(folder: string, assets: Map<string, Asset>): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (extname(name) !== '.html') continue;
    const body = readFileSync(join(folder, name));
    assets.set(`/examples/${name}`, page(body, examplePolicy(body.toString('utf8'))));
  }
}

/** The build lies as its modules import each other, so the paths are the same. */
function readClient(folder: string, assets: Map<string, Asset>): void {
  if (!existsSync(folder)) return;
  for (const path of globSync('client{.js,.js.map,/*.js,/*.js.map}', { cwd: folder })) {
    const contentType = CONTENT_TYPES[extname(path)];
    if (contentType === undefined) continue;
    assets.set(`/${path.replaceAll(sep, '/')}`, {
      body: readFileSync(join(folder, path)),
      contentType,
      headers: { ...CLIENT_HEADERS, 'cache-control': isHashed(path) ? CACHE_FOREVER : CACHE_ASK },
    });
  }
}

function page(body: Uint8Array, policy: string): Asset {
  return {
    body,
    contentType: 'text/html; charset=utf-8',
    headers: {
      ...COMMON_HEADERS,
      'cache-control': CACHE_ASK,
      'content-security-policy': policy,
    },
  };
}

/**
 * An example may reach any server, as its `?server=` says, and run what stands in its own file:
 * each inline script and style is allowed by its hash, nothing else is.
 */
function examplePolicy(html: string): string {
  return [
    "default-src 'none'",
    `script-src ${hashes(html, 'script')}`,
    `style-src ${hashes(html, 'style')}`,
    "connect-src 'self' http: https: ws: wss:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

function hashes(html: string, element: 'script' | 'style'): string {
  const found = [...html.matchAll(new RegExp(`<${element}[^>]*>(.*?)</${element}>`, 'gs'))];
  if (found.length === 0) return "'none'";
  return found
    .map(([, content = '']) => {
      // A browser hashes the text after it has read CR LF as LF.
      const text = content.replaceAll('\r\n', '\n');
      return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    })
    .join(' ');
}

/** The build's names: `index-BmjD7Dnm.js`. */
function isHashed(name: string): boolean {
  return /-[\w-]{8}\.\w+$/.test(name);
}
