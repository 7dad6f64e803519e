/**
 * PublishCheck: from the client into the log. QoS 2 is stored exactly once, QoS 1 at least once and
 * not more often than it was sent, QoS 0 at most once; what was acknowledged is in the log by then;
 * what one client sends to a channel is stored in the order sent.
 */
import type {
  AcknowledgedEvent,
  CommittedEvent,
  MqttViolation,
  SendEvent,
} from './mqtt-history.ts';

interface Sent {
  readonly first: SendEvent;
  /** Its place among all that were sent for the first time. */
  readonly order: number;
  sends: number;
  commits: number;
}

export class PublishCheck {
  readonly #report: (violation: MqttViolation) => void;
  readonly #sent = new Map<string, Sent>();
  /** By connection and channel: the newest of those that were sent on it and are stored. */
  readonly #newest = new Map<string, Sent>();

  constructor(report: (violation: MqttViolation) => void) {
    this.#report = report;
  }

  /** The QoS that its publisher gave to a message. */
  qosOf(payload: string): SendEvent['qos'] | undefined {
    return this.#sent.get(payload)?.first.qos;
  }

  onSend(event: SendEvent): void {
    const known = this.#sent.get(event.payload);
    if (known === undefined) {
      const order = this.#sent.size;
      this.#sent.set(event.payload, { first: event, order, sends: 1, commits: 0 });
    } else {
      known.sends += 1;
    }
  }

  onCommitted(event: CommittedEvent): void {
    const { payload, channel, position, step } = event;
    const sent = this.#sent.get(payload);
    if (sent === undefined || sent.first.channel !== channel) {
      const message = `${payload} at ${channel} ${position}, where nobody published it`;
      this.#report({ promise: 'unasked', step, message });
      return;
    }
    sent.commits += 1;
    const { qos } = sent.first;
    const most = qos === 1 ? sent.sends : 1;
    if (sent.commits > most) {
      const message = `${payload} of QoS ${qos}, sent ${sent.sends} times, is stored ${sent.commits} times, last at ${channel} ${position}`;
      this.#report({ promise: 'twice', step, message });
    }
    if (sent.commits === 1) this.#checkOrder(sent, event);
  }

  onAcknowledged({ payload, step }: AcknowledgedEvent): void {
    if (this.#sent.get(payload)?.commits !== 0) return;
    const message = `${payload} was acknowledged and is not in the log`;
    this.#report({ promise: 'stored', step, message });
  }

  /** What was sent once, on one connection, is stored in the order sent. */
  #checkOrder(sent: Sent, { channel, position, step }: CommittedEvent): void {
    // Sent again, it may well come after what was sent behind it.
    if (sent.sends > 1 || sent.first.session === undefined) return;
    const id = `${sent.first.connection} ${channel}`;
    const newest = this.#newest.get(id);
    if (newest !== undefined && newest.order > sent.order) {
      const message = `${sent.first.payload} is stored at ${channel} ${position}, behind ${newest.first.payload}, which was sent later`;
      this.#report({ promise: 'order', step, message });
      return;
    }
    this.#newest.set(id, sent);
  }
}
