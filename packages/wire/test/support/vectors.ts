/** Vectors: reads `spec/vectors/*.json`, whose format its README describes. */
import { readFileSync } from 'node:fs';
import { decodeBase64 } from '../../src/index.ts';

/** Text as it stands in a vector: whole, or in parts of which some are repeated. */
export type VectorText = string | readonly (string | { repeat: string; times: number })[];

/** A payload as it stands in a vector. */
export interface VectorPayload {
  readonly payload?: VectorText;
  readonly payloadBase64?: VectorText;
}

/** Reads one file of vectors; the caller names its shape. */
export function readVectors<Shape>(name: string): Shape {
  const url = new URL(`../../../../spec/vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as Shape;
}

/** The whole text of a vector. */
export function vectorText(text: VectorText): string {
  if (typeof text === 'string') return text;
  return text
    .map((part) => (typeof part === 'string' ? part : part.repeat.repeat(part.times)))
    .join('');
}

/** The bytes of a vector's payload. */
export function vectorPayload(vector: VectorPayload): Uint8Array {
  if (vector.payload !== undefined) return new TextEncoder().encode(vectorText(vector.payload));
  const bytes = decodeBase64(vectorText(vector.payloadBase64 ?? ''));
  if (bytes === undefined) throw new Error('the vector holds no base64');
  return bytes;
}
