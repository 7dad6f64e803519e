/** Field: a line of technical text with its label. */
import { useId } from 'preact/hooks';

/** A labelled input; browsers leave what is typed as it is. */
export function Field(props: {
  readonly label: string;
  readonly value: string;
  readonly size?: 'small' | 'wide';
  /** The label is read out, not seen. */
  readonly quiet?: boolean;
  readonly required?: boolean;
  readonly placeholder?: string;
  onText(text: string): void;
}) {
  const id = useId();
  const { label, value, size, quiet = false, required = false, placeholder, onText } = props;
  return (
    <div class={size === undefined ? 'field' : `field field-${size}`}>
      <label class={quiet ? 'visually-hidden' : undefined} for={id}>
        {label}
      </label>
      <input
        id={id}
        class="mono"
        value={value}
        required={required}
        placeholder={placeholder}
        spellcheck={false}
        autocapitalize="off"
        autocomplete="off"
        onInput={({ currentTarget }) => onText(currentTarget.value)}
      />
    </div>
  );
}
