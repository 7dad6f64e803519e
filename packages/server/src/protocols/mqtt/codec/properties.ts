/**
 * Properties: reading and writing those of the table, behind their size (5.0 §2.2.2).
 *
 * They are written in the order of the table. User properties keep theirs ([MQTT-3.3.2-18]).
 */
import { MqttError } from './faults.ts';
import { NO_PROPERTIES, propertiesOf, propertyOf } from './property-table.ts';
import type {
  Properties,
  PropertiesOf,
  Property,
  PropertyOwner,
  UserProperty,
  ValueType,
} from './property-table.ts';
import type { Reader } from './reader.ts';
import { REASONS } from './reasons.ts';
import { binarySize, textSize, varintSize } from './writer.ts';
import type { Writer } from './writer.ts';

/** Properties of one kind that a packet may repeat; more is no message but an attack on memory. */
export const REPEATED_MAX = 1000;

type Value = number | string | Uint8Array | number[] | UserProperty[];
type Values = Partial<Record<keyof Properties, Value>>;

/** Reads the properties of a packet, or of a will, behind their size. */
export function readProperties<Owner extends PropertyOwner>(
  reader: Reader,
  owner: Owner,
): PropertiesOf<Owner> {
  const size = reader.varint('the property length');
  if (size === 0) return NO_PROPERTIES;
  const outer = reader.enter(size, 'the properties');
  const values: Values = {};
  while (reader.left > 0) {
    const id = reader.varint('a property identifier');
    const found = propertyOf(owner, id);
    if (found === undefined) {
      reader.fail('foreignProperty', `${owner} has no property ${id}`);
    }
    readValue(reader, owner, found, values);
  }
  reader.leave(outer);
  return values as PropertiesOf<Owner>;
}

function readValue(reader: Reader, owner: PropertyOwner, line: Property, values: Values): void {
  const { name, type } = line;
  const before = values[name];
  if (type === 'pairs') {
    const pairs = (before ?? []) as UserProperty[];
    if (pairs.length === REPEATED_MAX) {
      reader.fail('tooMany', `expected at most ${REPEATED_MAX} user properties`);
    }
    pairs.push([reader.text('the name of a user property'), reader.text('a user property')]);
    values[name] = pairs;
  } else if (type === 'varints') {
    const value = checked(line, reader.varint(name));
    // A SUBSCRIBE has one identifier; a PUBLISH tells those of all that it matched.
    if (before !== undefined && owner === 'subscribe') throw twice(line);
    const list = (before ?? []) as number[];
    if (list.length === REPEATED_MAX) {
      reader.fail('tooMany', `expected at most ${REPEATED_MAX} subscription identifiers`);
    }
    list.push(value);
    values[name] = list;
  } else {
    if (before !== undefined) throw twice(line);
    values[name] = readOne(reader, line, type);
  }
}

function readOne(
  reader: Reader,
  line: Property,
  type: Exclude<ValueType, 'pairs' | 'varints'>,
): Value {
  const { name } = line;
  switch (type) {
    case 'byte':
      return checked(line, reader.byte(name));
    case 'uint16':
      return checked(line, reader.uint16(name));
    case 'uint32':
      return checked(line, reader.uint32(name));
    case 'text':
      return reader.text(name);
    case 'binary':
      return reader.binary(name);
  }
}

function checked(line: Property, value: number): number {
  const { name, min, max, section } = line;
  if (value >= min && value <= max) return value;
  const message = `expected ${name} from ${min}${max === Infinity ? '' : ` to ${max}`}, got ${value}`;
  // The one property with a code and a clause of its own.
  if (name === 'topicAlias') {
    throw new MqttError(REASONS.topicAliasInvalid, '[MQTT-3.3.2-8]', message);
  }
  throw new MqttError(REASONS.protocolError, section, message);
}

function twice({ name, section }: Property): MqttError {
  return new MqttError(REASONS.protocolError, section, `expected ${name} once, got it twice`);
}

/** True when there is nothing to write. */
export function isEmpty(properties: Properties): boolean {
  if (properties === NO_PROPERTIES) return true;
  return Object.values(properties).every((value) => value === undefined);
}

/** Bytes of the properties without their size. */
export function propertiesSize<Owner extends PropertyOwner>(
  owner: Owner,
  properties: PropertiesOf<Owner>,
): number {
  if (properties === NO_PROPERTIES) return 0;
  let size = 0;
  for (const { name, type } of propertiesOf(owner)) {
    const value = (properties as Properties)[name];
    if (value !== undefined) size += valueSize(type, value as Value);
  }
  return size;
}

function valueSize(type: ValueType, value: Value): number {
  switch (type) {
    case 'byte':
      return 2;
    case 'uint16':
      return 3;
    case 'uint32':
      return 5;
    case 'text':
      return 1 + textSize(value as string);
    case 'binary':
      return 1 + binarySize(value as Uint8Array);
    case 'varints':
      return (value as number[]).reduce((size, one) => size + 1 + varintSize(one), 0);
    case 'pairs':
      return (value as UserProperty[]).reduce(
        (size, [name, text]) => size + 1 + textSize(name) + textSize(text),
        0,
      );
  }
}

/** Bytes of the properties and their size. */
export function sectionSize<Owner extends PropertyOwner>(
  owner: Owner,
  properties: PropertiesOf<Owner>,
): number {
  const size = propertiesSize(owner, properties);
  return varintSize(size) + size;
}

/** Writes properties behind their size. */
export function writeSection<Owner extends PropertyOwner>(
  writer: Writer,
  owner: Owner,
  properties: PropertiesOf<Owner>,
): void {
  writer.varint(propertiesSize(owner, properties));
  writeProperties(writer, owner, properties);
}

/** Writes properties as sized by `propertiesSize`, without their size. */
export function writeProperties<Owner extends PropertyOwner>(
  writer: Writer,
  owner: Owner,
  properties: PropertiesOf<Owner>,
): void {
  if (properties === NO_PROPERTIES) return;
  for (const line of propertiesOf(owner)) {
    const value = (properties as Properties)[line.name];
    if (value !== undefined) writeValue(writer, line, value as Value);
  }
}

function writeValue(writer: Writer, { id, type }: Property, value: Value): void {
  if (type === 'varints') {
    for (const one of value as number[]) {
      writer.byte(id);
      writer.varint(one);
    }
    return;
  }
  if (type === 'pairs') {
    for (const [name, text] of value as UserProperty[]) {
      writer.byte(id);
      writer.text(name);
      writer.text(text);
    }
    return;
  }
  writer.byte(id);
  switch (type) {
    case 'byte':
      return writer.byte(value as number);
    case 'uint16':
      return writer.uint16(value as number);
    case 'uint32':
      return writer.uint32(value as number);
    case 'text':
      return writer.text(value as string);
    case 'binary':
      return writer.binary(value as Uint8Array);
  }
}
