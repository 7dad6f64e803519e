/** Sayings: payloads with a name of their own, so that each can be told from all others. */

const encoder = new TextEncoder();

/** A payload that holds the name, and so many characters more. */
export function sayingBytes(name: string, padding: number): Uint8Array {
  return encoder.encode(JSON.stringify({ id: name, padding: 'x'.repeat(padding) }));
}

/** The name in a payload as it arrived; what is no payload of ours is told apart by its text. */
export function sayingName(payload: Uint8Array): string {
  const text = new TextDecoder().decode(payload);
  return /^\{"id":"([\w-]+)","padding":"x*"\}$/.exec(text)?.[1] ?? `foreign ${text.slice(0, 40)}`;
}
