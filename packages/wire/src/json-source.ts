/**
 * JSON source: the text of an object's members exactly as it was written.
 *
 * `JSON.parse` would turn 12345678901234567890 into another number; payloads are handed on as
 * published, so a command's `data` is cut out of the source text instead of parsed and rebuilt.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * The source of member `name` of the object in `json`; of several, the last, as `JSON.parse` has
 * it. `undefined` when there is none.
 *
 * @param json text that `JSON.parse` accepted and found to be an object: its syntax is not
 *   checked again here.
 * @param name one that JSON writes without escapes.
 */
export function memberSource(json: string, name: string): string | undefined {
  let found: string | undefined;
  let at = json.indexOf('{') + 1;
  for (;;) {
    at = skipSpace(json, at);
    if (json.charCodeAt(at) !== QUOTE) return found; // The closing brace.
    const keyEnd = stringEnd(json, at);
    const isFound = isString(json, at, keyEnd, name);
    const colon = skipSpace(json, keyEnd);
    if (json.charCodeAt(colon) !== COLON) return found;
    const start = skipSpace(json, colon + 1);
    const end = valueEnd(json, start);
    if (isFound) found = json.slice(start, end).trimEnd();
    at = skipSpace(json, end);
    if (json.charCodeAt(at) !== COMMA) return found;
    at += 1;
  }
}

/** The sources of the elements of the array in `json`, under the same condition. */
export function elementSources(json: string): string[] {
  const elements: string[] = [];
  let at = skipSpace(json, json.indexOf('[') + 1);
  while (at < json.length && json.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = valueEnd(json, at);
    elements.push(json.slice(at, end).trimEnd());
    at = skipSpace(json, end);
    if (json.charCodeAt(at) === COMMA) at = skipSpace(json, at + 1);
  }
  return elements;
}

/** One past the last character of the value that begins at `start`. */
function valueEnd(json: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < json.length) {
    const unit = json.charCodeAt(at);
    if (unit === QUOTE) {
      at = stringEnd(json, at);
      if (depth === 0) return at;
      continue;
    }
    if (unit === OPEN_BRACE || unit === OPEN_BRACKET) depth += 1;
    else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) {
      if (depth === 0) return at; // It closes what holds this value: a bare number or word.
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (unit === COMMA && depth === 0) return at;
    at += 1;
  }
  return at;
}

/** True when the string from `start` up to `end` is `text`, which needs no escapes. */
function isString(json: string, start: number, end: number, text: string): boolean {
  const length = end - start - 2;
  if (length <= text.length) return length === text.length && json.startsWith(text, start + 1);
  const source = json.slice(start, end);
  return source.includes('\\') && JSON.parse(source) === text;
}

/** One past the closing quote of the string that begins at `start`. */
function stringEnd(json: string, start: number): number {
  let end = json.indexOf('"', start + 1);
  while (end >= 0 && isEscaped(json, start, end)) end = json.indexOf('"', end + 1);
  return end < 0 ? json.length : end + 1;
}

/** True when an odd number of backslashes stands before the character at `at`. */
function isEscaped(json: string, start: number, at: number): boolean {
  let before = at;
  while (before > start + 1 && json.charCodeAt(before - 1) === BACKSLASH) before -= 1;
  return (at - before) % 2 === 1;
}

function skipSpace(json: string, start: number): number {
  let at = start;
  for (;;) {
    const unit = json.charCodeAt(at);
    if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return at;
    at += 1;
  }
}
