/** UTF-8 that comes in pieces: where a piece may end inside a character (RFC 3629 §4). */

/**
 * How many bytes at the end, 0 to 3, are the valid beginning of a character whose rest is still
 * to come. Bytes that can't become a character count as complete: a check of them fails.
 */
export function incompleteTailSize(bytes: Uint8Array, end: number): number {
  for (let size = 1; size <= 3 && size <= end; size += 1) {
    const lead = bytes[end - size] ?? 0;
    if ((lead & 0xc0) === 0x80) continue;
    if (characterSize(lead) <= size) return 0;
    if (size > 1 && !isSecondByte(lead, bytes[end - size + 1] ?? 0)) return 0;
    return size;
  }
  return 0;
}

/** Bytes of the character that begins with `lead`; 1 also for what begins none. */
function characterSize(lead: number): number {
  if (lead < 0xc2 || lead > 0xf4) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

/** The second byte decides on overlong forms, surrogates and what is beyond U+10FFFF. */
function isSecondByte(lead: number, byte: number): boolean {
  switch (lead) {
    case 0xe0:
      return byte >= 0xa0;
    case 0xed:
      return byte <= 0x9f;
    case 0xf0:
      return byte >= 0x90;
    case 0xf4:
      return byte <= 0x8f;
    default:
      return true;
  }
}
