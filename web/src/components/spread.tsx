import type { Distribution } from '../../../src/protocol/controller/history.ts';
import { counted } from '../base/text.ts';
import { heightsOf, placeOf, quantile } from '../insight/spread.ts';

/** What is said of each distribution, and marked in its picture. */
const SHARES = [
  [0.5, 'median'],
  [0.95, '95 % are below'],
  [1, 'the most'],
] as const;

/** How often an amount lay where, as bars; what is important of it stands beside in figures. */
export function Spread({
  title,
  of,
  text,
  note,
}: {
  title: string;
  of: Distribution | undefined;
  text: (amount: number) => string;
  note?: string;
}) {
  return (
    <section class="panel">
      <div class="row between">
        <h2>{title}</h2>
        {of === undefined ? null : <span class="soft">{counted(of.count, 'migration')}</span>}
      </div>
      {of === undefined ? (
        <p class="soft">No migration reports this figure. {note}</p>
      ) : (
        <>
          <Bars of={of} text={text} />
          <dl class="facts">
            {SHARES.map(([share, words]) => {
              const amount = quantile(of, share);
              return amount === undefined ? null : (
                <div key={share}>
                  <dt>{words}</dt>
                  <dd>{text(amount)}</dd>
                </div>
              );
            })}
          </dl>
        </>
      )}
    </section>
  );
}

function Bars({ of, text }: { of: Distribution; text: (amount: number) => string }) {
  const heights = heightsOf(of);
  const median = quantile(of, 0.5);
  const high = quantile(of, 0.95);
  return (
    <div class="spread" aria-hidden="true">
      <div class="bins">
        {of.bins.map(({ from, to, count }, at) => (
          <i
            key={from}
            class={count === 0 ? 'none' : ''}
            style={{ height: `${(heights[at] ?? 0) * 100}%` }}
            title={`${text(from)} to ${text(to)}: ${counted(count, 'migration')}`}
          />
        ))}
        {median === undefined ? null : (
          <b class="mark" style={{ left: `${placeOf(of, median) * 100}%` }} />
        )}
        {high === undefined ? null : (
          <b class="mark high" style={{ left: `${placeOf(of, high) * 100}%` }} />
        )}
      </div>
      <div class="ends">
        <span>{text(of.least)}</span>
        <span>{text(of.most)}</span>
      </div>
    </div>
  );
}
