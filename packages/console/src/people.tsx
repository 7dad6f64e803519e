/** People: who is in the channels that are followed by their names. */
import { isWildcard } from '@trunkline/wire';
import type { Member } from '@trunkline/wire';
import { useState } from 'preact/hooks';
import { members } from './api.ts';
import type { Attendance, Coming } from './attendance.ts';
import type { Desk } from './desk.ts';
import { formatCount, formatTime } from './format.ts';
import { useChanges } from './hooks.tsx';

/** Members that are drawn at first, and that each `More` adds. */
const SHOWN_STEP = 50;

/** Members that one question asks for. */
const PAGE_SIZE = 200;

/** Characters of what a token says of a user. */
const INFO_SHOWN_MAX = 80;

/** Characters of a session's word that tell it from others. */
const SESSION_SHOWN_MAX = 6;

/** The panel. */
export function People({ desk }: { readonly desk: Desk }) {
  useChanges(desk.presence);
  useChanges(desk.changes);
  const names = desk.filters.filter((filter) => !isWildcard(filter));
  return (
    <section class="panel people" aria-labelledby="people-title">
      <header class="panel-head">
        <h2 id="people-title">Here now</h2>
        <label class="check" title="WebSocket lists whoever follows a channel by its name">
          <input
            type="checkbox"
            checked={desk.takesPart}
            onChange={({ currentTarget }) => desk.takePart(currentTarget.checked)}
          />
          List every pane
        </label>
      </header>
      <div class="people-list" tabIndex={0} role="group" aria-labelledby="people-title">
        {names.length === 0 && (
          <p class="panel-note">
            A pattern lists nobody. Follow a channel by its name to see who is there.
          </p>
        )}
        {names.map((channel) => (
          <Room key={channel} desk={desk} channel={channel} isNamed={names.length > 1} />
        ))}
      </div>
    </section>
  );
}

function Room(props: { readonly desk: Desk; readonly channel: string; readonly isNamed: boolean }) {
  const { desk, channel, isNamed } = props;
  const [shown, setShown] = useState(SHOWN_STEP);
  const [fault, setFault] = useState<string>();
  const attendance = desk.attendanceOf(channel);
  if (attendance === undefined) return <p class="panel-note">Nobody told yet</p>;
  const { count, size, refusal } = attendance;
  if (refusal !== undefined) return <p class="panel-note">{refusal}</p>;

  async function showMore(of: Attendance): Promise<void> {
    setShown(shown + SHOWN_STEP);
    if (shown + SHOWN_STEP > of.size) setFault(await readMore(desk, channel, of));
  }

  return (
    <div class="room" data-channel={channel}>
      <p class="room-count">
        <b>{formatCount(count)}</b> {count === 1 ? 'person' : 'people'}
        {isNamed && (
          <>
            {' in '}
            <span class="mono">{channel}</span>
          </>
        )}
      </p>
      <Comings changes={attendance.changes} desk={desk} />
      <ul>
        {attendance.members(shown).map((member) => (
          <Person key={member.session} member={member} own={desk.ownSession(member.session)} />
        ))}
      </ul>
      {(size > shown || attendance.next !== undefined) && (
        <button type="button" class="button-quiet" onClick={() => void showMore(attendance)}>
          More
        </button>
      )}
      {fault !== undefined && <p class="panel-note">{fault}</p>}
    </div>
  );
}

/** @returns what went wrong. */
async function readMore(
  desk: Desk,
  channel: string,
  attendance: Attendance,
): Promise<string | undefined> {
  const { next } = attendance;
  if (next === undefined) return undefined;
  const page = await members(channel, next, PAGE_SIZE, desk.token);
  if (!page.ok) return page.reason;
  attendance.add(page.value.members, page.value.count, page.value.next);
  desk.presence.notify();
  return undefined;
}

/** The last ones who came and went. */
function Comings(props: { readonly changes: readonly Coming[]; readonly desk: Desk }) {
  const { changes, desk } = props;
  if (changes.length === 0) return null;
  return (
    <p class="panel-note comings">
      {changes
        .map(({ kind, member }) => {
          const name = desk.ownSession(member.session) ?? nameOf(member);
          return `${name} ${kind === 'join' ? 'came' : 'left'}`;
        })
        .join(', ')}
    </p>
  );
}

function Person({ member, own }: { readonly member: Member; readonly own: string | undefined }) {
  const info = member.info === undefined ? '' : JSON.stringify(member.info);
  const since = new Date(member.since);
  return (
    <li class="person">
      <span class={member.user === undefined ? 'mono' : 'person-user'} title={member.session}>
        {nameOf(member)}
      </span>
      {own !== undefined && <span class="person-own">you, {own}</span>}
      <time dateTime={since.toISOString()}>{formatTime(since)}</time>
      {info !== '' && <span class="person-info mono">{info.slice(0, INFO_SHOWN_MAX)}</span>}
    </li>
  );
}

function nameOf({ user, session }: Member): string {
  return user ?? session.slice(0, SESSION_SHOWN_MAX);
}
