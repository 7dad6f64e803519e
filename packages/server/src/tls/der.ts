/** DER: the distinguished encoding of ASN.1 (X.690), as much as a certificate needs. Pure. */

/** Tags of the universal class, constructed ones with their bit (X.690 §8.1.2). */
const TAGS = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const;

const CONTEXT = 0x80;
const CONSTRUCTED = 0x20;

/** One value: its tag, its length, and its contents (X.690 §8.1). */
function encode(tag: number, contents: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.of(tag), encodeLength(contents.length), contents]);
}

/** X.690 §10.1: the shortest form. */
function encodeLength(length: number): Uint8Array {
  if (length < 0x80) return Buffer.of(length);
  const digits = base256(length);
  return Buffer.from([0x80 | digits.length, ...digits]);
}

function base256(value: number): number[] {
  const digits: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return digits;
}

/** Several values in their order. */
export function sequence(...members: readonly Uint8Array[]): Uint8Array {
  return encode(TAGS.sequence, Buffer.concat(members));
}

/** A set of one value: DER sorts larger ones, and no certificate here has any. */
export function setOf(member: Uint8Array): Uint8Array {
  return encode(TAGS.set, member);
}

/** True; DER leaves out what has its default, and false is one. */
export const TRUE: Uint8Array = encode(TAGS.boolean, Buffer.of(0xff));

/** A number that is not negative, from its big-endian bytes. */
export function unsigned(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const digits = bytes.subarray(start);
  // The first bit is the sign.
  const isNegative = ((digits[0] ?? 0) & 0x80) !== 0;
  return encode(TAGS.integer, isNegative ? Buffer.concat([Buffer.of(0), digits]) : digits);
}

/** Bits, a whole number of bytes of them. */
export function bitString(bytes: Uint8Array): Uint8Array {
  return encode(TAGS.bitString, Buffer.concat([Buffer.of(0), bytes]));
}

/** The first `count` bits of one byte; X.690 §11.2.2 leaves out zeros at the end. */
export function bits(byte: number, count: number): Uint8Array {
  return encode(TAGS.bitString, Buffer.of(8 - count, byte));
}

/** Bytes. */
export function octetString(bytes: Uint8Array): Uint8Array {
  return encode(TAGS.octetString, bytes);
}

/** Text. */
export function utf8String(text: string): Uint8Array {
  return encode(TAGS.utf8String, Buffer.from(text));
}

/** An object identifier, written with dots. */
export function oid(text: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const arcs = [first * 40 + second, ...rest];
  return encode(TAGS.oid, Buffer.from(arcs.flatMap(base128)));
}

/** Digits to the base 128, all but the last with their first bit set (X.690 §8.19.2). */
function base128(value: number): number[] {
  const digits = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) {
    digits.unshift(0x80 | (rest % 128));
  }
  return digits;
}

/** A time to the second, in the years 1950 to 2049 (RFC 5280 §4.1.2.5.1). */
export function utcTime(unixMs: number): Uint8Array {
  const time = new Date(unixMs);
  const year = time.getUTCFullYear();
  if (year < 1950 || year > 2049) {
    throw new RangeError(`a UTCTime must be in the years 1950 to 2049, got ${year}`);
  }
  const text = time.toISOString().replace(/[-:T]|\.\d+/g, '');
  return encode(TAGS.utcTime, Buffer.from(text.slice(2), 'latin1'));
}

/** A member that its number tells apart; `contents` are whole values. */
export function tagged(number: number, ...contents: readonly Uint8Array[]): Uint8Array {
  return encode(CONTEXT | CONSTRUCTED | number, Buffer.concat(contents));
}

/** The same for bare bytes, whose type is known from the number. */
export function taggedBytes(number: number, bytes: Uint8Array): Uint8Array {
  return encode(CONTEXT | number, bytes);
}
