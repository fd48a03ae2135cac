import { percentText } from '../base/text.ts';

/** A share of a capacity as a bar and a figure; from `high` on it is also marked as such in its shape. */
export function Meter({
  label,
  share,
  high = 0.9,
  text,
}: {
  label: string;
  share: number | undefined;
  high?: number;
  text?: string;
}) {
  const known = share !== undefined;
  const percent = known ? share * 100 : 0;
  return (
    <div class={`meter${known && share >= high ? ' high' : ''}`}>
      <span class="soft">{label}</span>
      <span class="bar" aria-hidden="true">
        {known ? <i style={{ width: `${Math.max(percent, percent > 0 ? 1.5 : 0)}%` }} /> : null}
      </span>
      <span class="number">{text ?? (known ? percentText(share) : 'not known')}</span>
    </div>
  );
}

/** How far something is, for people and for screen readers. */
export function Bar({
  percent,
  label,
  tone = 'accent',
}: {
  percent: number;
  label: string;
  tone?: 'accent' | 'good' | 'warn';
}) {
  const whole = Math.floor(percent);
  return (
    <div
      class={`progress ${tone}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={whole}
    >
      <i style={{ width: `${percent}%` }} />
    </div>
  );
}
