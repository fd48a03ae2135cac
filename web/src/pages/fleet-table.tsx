import { memo } from 'preact/compat';
import { useMemo, useRef } from 'preact/hooks';
import { formatBytes } from '../../../src/protocol/quantity.ts';
import { mayOperate } from '../base/session.ts';
import { count, percentText } from '../base/text.ts';
import { fleet, revision } from '../fleet/fleet.ts';
import { memoryShare } from '../fleet/filter.ts';
import type { HostView } from '../fleet/model.ts';
import { pick, picked } from '../fleet/picked.ts';
import { Meter } from '../components/meter.tsx';
import { Badge, HostBadge } from '../components/states.tsx';
import { useWindowRows } from '../components/virtual.ts';

const ROW_PX = 36;

/** The hosts as a table, of which only the rows in sight are there. */
export function HostTable({ names }: { names: readonly string[] }) {
  const list = useRef<HTMLDivElement>(null);
  const heights = useMemo(() => names.map(() => ROW_PX), [names]);
  const rows = useWindowRows(heights, list);
  void revision.value;
  return (
    <div class="panel grid" role="table" aria-label="Hosts" aria-rowcount={names.length + 1}>
      <div role="rowgroup" class="grid-head">
        <div role="row" aria-rowindex={1} class="grid-row">
          {['Host', 'State', 'Processor', 'Memory', 'Pressure', 'Cores', 'Guests'].map((name) => (
            <span key={name} role="columnheader" class={`c-${name.toLowerCase()}`}>
              {name}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" ref={list} class="grid-body" style={{ height: `${rows.height}px` }}>
        <div role="presentation">
          {rows.items.map(({ index, top }) => {
            const host = fleet.hosts.get(names[index] ?? '');
            if (host === undefined) return null;
            return (
              <HostRow
                key={host.name}
                host={host}
                index={index}
                top={top}
                isPicked={picked.value.has(host.name)}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

const HostRow = memo(function HostRow({
  host,
  index,
  top,
  isPicked,
}: {
  host: HostView;
  index: number;
  top: number;
  isPicked: boolean;
}) {
  const { name, state, draining, cores, guests, pressure, memoryBytes } = host;
  const memory = memoryShare(host);
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      class={`grid-row ${state}${isPicked ? ' picked-card' : ''}`}
      data-host={name}
      style={{ top: `${top}px` }}
    >
      <span role="cell" class="c-host">
        {mayOperate() ? (
          <input
            type="checkbox"
            checked={isPicked}
            aria-label={`Pick ${name}`}
            onChange={(event) => pick(name, event.currentTarget.checked)}
          />
        ) : null}
        <a href={`/hosts/${name}`}>{name}</a>
      </span>
      <span role="cell" class="c-state">
        <HostBadge state={state} />
        {draining ? (
          <Badge tone="warn" glyph="draining">
            draining
          </Badge>
        ) : null}
      </span>
      <span role="cell" class="c-processor">
        <Meter label="" share={host.processorShare} />
      </span>
      <span role="cell" class="c-memory">
        <Meter
          label=""
          share={memory}
          text={
            memory === undefined || memoryBytes === undefined
              ? 'not known'
              : `${percentText(memory)} of ${formatBytes(memoryBytes)}`
          }
        />
      </span>
      <span role="cell" class="c-pressure number">
        {pressure === undefined ? '–' : percentText(pressure)}
      </span>
      <span role="cell" class="c-cores number">
        {cores === undefined ? '–' : count(cores)}
      </span>
      <span role="cell" class="c-guests number">
        {count(guests.length)}
      </span>
    </div>
  );
});
