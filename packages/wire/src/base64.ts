/** Base64 (RFC 4648 §4) of bytes, in browsers and Node alike. */

/** Linear without backtracking: a pattern of groups of four overflows the stack at some megabytes. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
/** `String.fromCharCode` takes its bytes as arguments; engines bound how many. */
const CHUNK_SIZE = 8192;

/** Writes bytes as base64 with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let start = 0; start < bytes.length; start += CHUNK_SIZE) {
    binary += String.fromCharCode(...bytes.subarray(start, start + CHUNK_SIZE));
  }
  return btoa(binary);
}

/** Reads strict base64 with padding; `undefined` when the text is none. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !BASE64.test(text)) return undefined;
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index);
  return bytes;
}
