/** Addresses of a server that MQTT clients connect to. */
import type { LabServer } from '../../src/server.ts';

/** The address for MQTT over TCP, or over TLS. */
export function mqttUrl({ urls }: LabServer, scheme: 'mqtt' | 'mqtts' = 'mqtt'): string {
  const found = urls.find((url) => url.startsWith(`${scheme}:`));
  if (found === undefined) throw new Error(`expected ${scheme}, got ${urls.join(' ')}`);
  return found;
}
