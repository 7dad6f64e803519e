/**
 * Files: what is served as it is, like the console page and the client for browsers. They are known
 * when the server starts, so no path of a request is ever opened.
 */
import { hash } from 'node:crypto';
import { matchesEtag } from './etag.ts';
import { FileGzip } from './gzip.ts';
import type { HttpAnswer, RequestHead } from './request.ts';

/** A file that is served as it is, e.g. of the console page. */
export interface Asset {
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Answers GETs on the paths of these files, and `undefined` on others. A client that has a file is
 * told so with 304. Files hold no secrets, so they are compressed whatever the configuration says.
 */
export function createFileServer(
  assets: ReadonlyMap<string, Asset>,
): (request: RequestHead) => HttpAnswer | undefined {
  const gzip = new FileGzip();
  const etags = new Map([...assets.values()].map((asset) => [asset, etagOf(asset)]));
  return (request) => {
    const asset = assets.get(request.path);
    if (asset === undefined) return undefined;
    const etag = etags.get(asset) ?? '';
    const headers = { ...asset.headers, etag };
    const whole = { ...headers, 'content-type': asset.contentType };
    const answer = gzip.answer(request, { status: 200, headers: whole, body: asset.body });
    if (!matchesEtag(request.headers['if-none-match'], etag)) return answer;
    // RFC 9110 §15.4.5: what tells whether the stored answer may be used, and nothing of its body.
    const { vary } = answer.headers ?? {};
    return { status: 304, headers: { ...headers, ...(vary !== undefined && { vary }) } };
  };
}

/** Weak: it is the same file compressed or not. */
function etagOf({ body }: Asset): string {
  return `W/"${hash('sha256', body, 'base64url')}"`;
}
