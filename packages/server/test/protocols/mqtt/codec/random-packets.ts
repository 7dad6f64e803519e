/** Random packets: any that may be sent, with every property that they may carry. */
import type {
  Connect,
  Packet,
  PacketKind,
  Qos,
  Side,
  Subscription,
  Version,
  Will,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import {
  NO_PROPERTIES,
  propertiesOf,
} from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';
import type {
  PropertiesOf,
  Property,
  PropertyOwner,
} from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';
import {
  ALLOWED_REASONS,
  ALLOWED_RETURN_CODES,
} from '@trunkline/server/internal/protocols/mqtt/codec/reasons.ts';
import type { SeededRandom } from '@trunkline/testkit';

const SCRAPS = ['a', 'b/', '/', '$', 'ß', '€', '😀', '\uFEFF', '\u0001', '\u{10FFFF}', 'level/'];
const FILTERS = ['#', '+', '/', 'a/#', '+/b', '$SYS/+', 'a//b', '€/+/#'];
const SIZES = [0, 1, 2, 3, 10, 100, 120, 127, 128, 200];

type Acks = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';

const ACKS: readonly Acks[] = ['puback', 'pubrec', 'pubrel', 'pubcomp'];

/** A CONNECT that nothing can be said against. */
export function makeConnect(random: SeededRandom, version: Version): Connect {
  const cleanStart = random.chance(0.5);
  const userName = random.chance(0.5) ? { userName: textOf(random) } : {};
  const mayHavePassword = version === 5 || 'userName' in userName;
  const properties = makeProperties(random, version, 'connect');
  return {
    kind: 'connect',
    version,
    clientId: cleanStart || version === 5 ? textOf(random) : `id${textOf(random)}`,
    cleanStart,
    keepAlive: random.integer(65_536),
    ...(random.chance(0.5) ? { will: makeWill(random, version) } : {}),
    ...userName,
    ...(mayHavePassword && random.chance(0.5) ? { password: bytesOf(random) } : {}),
    properties:
      properties.authenticationData === undefined
        ? properties
        : { authenticationMethod: 'M', ...properties },
  };
}

function makeWill(random: SeededRandom, version: Version): Will {
  return {
    topic: `t${textOf(random)}`,
    payload: bytesOf(random),
    qos: random.integer(3) as Qos,
    retain: random.chance(0.5),
    properties: makeProperties(random, version, 'will'),
  };
}

/** A packet that this sender may send after CONNECT. */
export function makePacket(random: SeededRandom, version: Version, from: Side): Packet {
  const kind = random.pick(kindsOf(version, from));
  switch (kind) {
    case 'publish':
      return makePublish(random, version, from);
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp': {
      const reason = version === 5 ? random.pick([...ALLOWED_REASONS[kind].codes]) : 0;
      const properties = makeProperties(random, version, kind);
      return { kind, packetId: idOf(random), reason, properties };
    }
    case 'subscribe':
      return makeSubscribe(random, version);
    case 'unsubscribe': {
      const filters = listOf(random, () => random.pick(FILTERS));
      const properties = makeProperties(random, version, kind);
      return { kind, packetId: idOf(random), filters, properties };
    }
    case 'connack':
      return makeConnack(random, version);
    case 'suback': {
      const { codes } = version === 5 ? ALLOWED_REASONS.suback : ALLOWED_RETURN_CODES.suback;
      const reasons = listOf(random, () => random.pick([...codes]));
      const properties = makeProperties(random, version, kind);
      return { kind, packetId: idOf(random), reasons, properties };
    }
    case 'unsuback': {
      const codes = [...ALLOWED_REASONS.unsuback.codes];
      const reasons = version === 5 ? listOf(random, () => random.pick(codes)) : [];
      const properties = makeProperties(random, version, kind);
      return { kind, packetId: idOf(random), reasons, properties };
    }
    case 'disconnect':
      return makeDisconnect(random, version, from);
    case 'auth': {
      const { clientAuth, serverAuth } = ALLOWED_REASONS;
      const reason = random.pick([...(from === 'client' ? clientAuth : serverAuth).codes]);
      const properties = makeProperties(random, version, kind);
      return { kind, reason, properties: { authenticationMethod: 'M', ...properties } };
    }
    case 'pingreq':
    case 'pingresp':
      return { kind };
    case 'connect':
      return makeConnect(random, version);
  }
}

function kindsOf(version: Version, from: Side): readonly PacketKind[] {
  const both: PacketKind[] = ['publish', 'publish', ...ACKS];
  if (version === 5) both.push('disconnect', 'auth');
  if (from === 'server') return [...both, 'connack', 'suback', 'unsuback', 'pingresp'];
  return [...both, 'subscribe', 'unsubscribe', 'pingreq', 'disconnect'];
}

function makePublish(random: SeededRandom, version: Version, from: Side): Packet {
  const qos = random.integer(3) as Qos;
  const { subscriptionIdentifiers, ...rest } = makeProperties(random, version, 'publish');
  const told = from === 'client' || subscriptionIdentifiers === undefined;
  const aliased = rest.topicAlias !== undefined && random.chance(0.5);
  return {
    kind: 'publish',
    topic: aliased ? '' : `t${textOf(random)}`,
    payload: bytesOf(random),
    qos,
    retain: random.chance(0.5),
    dup: qos > 0 && random.chance(0.5),
    packetId: qos === 0 ? 0 : idOf(random),
    properties: told ? rest : { ...rest, subscriptionIdentifiers },
  };
}

function makeSubscribe(random: SeededRandom, version: Version): Packet {
  const subscriptions = listOf(random, (): Subscription => {
    const qos = random.integer(3) as Qos;
    const filter = random.pick(FILTERS);
    if (version === 4) {
      return { filter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 };
    }
    const shared = random.chance(0.3);
    return {
      filter: shared ? `$share/group/${filter}` : filter,
      qos,
      noLocal: !shared && random.chance(0.5),
      retainAsPublished: random.chance(0.5),
      retainHandling: random.integer(3) as Subscription['retainHandling'],
    };
  });
  const properties = makeProperties(random, version, 'subscribe');
  return { kind: 'subscribe', packetId: idOf(random), subscriptions, properties };
}

function makeConnack(random: SeededRandom, version: Version): Packet {
  const { codes } = version === 5 ? ALLOWED_REASONS.connack : ALLOWED_RETURN_CODES.connack;
  const reason = random.pick([0, ...codes]);
  const properties = makeProperties(random, version, 'connack');
  return {
    kind: 'connack',
    sessionPresent: reason === 0 && random.chance(0.5),
    reason,
    properties,
  };
}

function makeDisconnect(random: SeededRandom, version: Version, from: Side): Packet {
  if (version === 4) return { kind: 'disconnect', reason: 0, properties: NO_PROPERTIES };
  const { clientDisconnect, serverDisconnect } = ALLOWED_REASONS;
  const reason = random.pick([...(from === 'client' ? clientDisconnect : serverDisconnect).codes]);
  const { sessionExpiryInterval, ...rest } = makeProperties(random, version, 'disconnect');
  const bare = from === 'server' || sessionExpiryInterval === undefined;
  return {
    kind: 'disconnect',
    reason,
    properties: bare ? rest : { ...rest, sessionExpiryInterval },
  };
}

function makeProperties<Owner extends PropertyOwner>(
  random: SeededRandom,
  version: Version,
  owner: Owner,
): PropertiesOf<Owner> {
  if (version === 4 || random.chance(0.4)) return NO_PROPERTIES;
  const chosen = propertiesOf(owner).filter(() => random.chance(0.4));
  const entries = chosen.map((one) => [one.name, valueOf(random, owner, one)]);
  return Object.fromEntries(entries) as PropertiesOf<Owner>;
}

function valueOf(random: SeededRandom, owner: PropertyOwner, { type, name, min, max }: Property) {
  const largest = { byte: 0xff, uint16: 0xffff, uint32: 0xffff_ffff, varints: 0x0fff_ffff };
  switch (type) {
    case 'byte':
    case 'uint16':
    case 'uint32':
      return numberOf(random, min, Math.min(max, largest[type]));
    case 'varints': {
      const one = (): number => numberOf(random, min, largest.varints);
      return owner === 'subscribe' ? [one()] : listOf(random, one);
    }
    case 'text':
      return name === 'responseTopic' ? `r${textOf(random)}` : textOf(random);
    case 'binary':
      return bytesOf(random);
    case 'pairs':
      return listOf(random, () => [textOf(random), textOf(random)]);
  }
}

function numberOf(random: SeededRandom, min: number, max: number): number {
  const near = random.pick([min, max, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]);
  return near >= min && near <= max ? near : min + random.integer(max - min + 1);
}

function idOf(random: SeededRandom): number {
  return 1 + random.integer(65_535);
}

function listOf<Item>(random: SeededRandom, make: () => Item): Item[] {
  return Array.from({ length: 1 + random.integer(3) }, make);
}

function textOf(random: SeededRandom): string {
  let text = '';
  for (let left = random.integer(6); left > 0; left -= 1) text += random.pick(SCRAPS);
  return text;
}

function bytesOf(random: SeededRandom): Uint8Array {
  return random.bytes(random.pick(SIZES));
}
