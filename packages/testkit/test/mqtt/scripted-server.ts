/** A server that answers each packet as a test says, to try MQTT clients of the testkit on. */
import type { Link, LinkHandler } from '@trunkline/server/internal/link/link.ts';
import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { encode } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type { Packet } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';

/** What is said to a packet; strings of hexadecimal are sent as they are. */
export type Answers = (packet: Packet) => readonly (Packet | string)[];

/** Opens such a server on a link. */
export function scripted(answers: Answers, onClose: () => void = () => {}) {
  return (link: Link): LinkHandler => {
    const decoder = new PacketDecoder({ packetSizeMax: 1_000_000 });
    return {
      onFrame(frame) {
        if (typeof frame === 'string') throw new Error('MQTT is bytes');
        for (const packet of decoder.push(frame)) {
          for (const answer of answers(packet)) {
            link.send(
              typeof answer === 'string'
                ? Buffer.from(answer, 'hex')
                : encode(answer, decoder.version ?? 5),
            );
          }
        }
      },
      onDrain() {},
      onClose,
    };
  };
}
