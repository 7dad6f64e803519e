/** Watch: the form that says which channels and patterns are followed. */
import { useState } from 'preact/hooks';
import type { Desk } from './desk.ts';
import { Field } from './field.tsx';
import { formatFilters, parseFilters } from './filters.ts';
import { useChanges } from './hooks.tsx';

/** The form; what can't be followed is said, and nothing changes. */
export function Watch(props: { readonly desk: Desk; onHistory(): void }) {
  const { desk, onHistory } = props;
  useChanges(desk.changes);
  const [typed, setTyped] = useState<string>();
  const [fault, setFault] = useState<string>();
  const text = typed ?? formatFilters(desk.filters);
  return (
    <form
      class="watch"
      aria-label="Channels"
      onSubmit={(submit) => {
        submit.preventDefault();
        const read = parseFilters(text);
        setFault(read.ok ? undefined : read.fault);
        if (!read.ok) return;
        setTyped(undefined);
        desk.watch(read.filters);
      }}
    >
      <Field
        label="Channels and patterns"
        value={text}
        placeholder="room/42, sensors/+/temperature"
        required
        onText={(value) => {
          setTyped(value);
          setFault(undefined);
        }}
      />
      <button type="submit" class="button">
        Watch
      </button>
      <button type="button" class="button" onClick={onHistory}>
        History
      </button>
      {fault !== undefined && (
        <p class="watch-fault" data-tone="bad" role="alert">
          {fault}
        </p>
      )}
    </form>
  );
}
