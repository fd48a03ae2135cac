import { memo } from 'preact/compat';
import { useMemo, useRef } from 'preact/hooks';
import { formatBytes } from '../../../src/protocol/quantity.ts';
import { mayOperate } from '../base/session.ts';
import { counted, percentText } from '../base/text.ts';
import { LINE_PX, linesFor } from '../fleet/blocks.ts';
import { fleet, revision, shape } from '../fleet/fleet.ts';
import { memoryShare } from '../fleet/filter.ts';
import type { HostView } from '../fleet/model.ts';
import { pick, picked } from '../fleet/picked.ts';
import { GuestBlocks } from '../components/guests.tsx';
import { Meter } from '../components/meter.tsx';
import { Badge, HostBadge } from '../components/states.tsx';
import { useWidth, useWindowRows } from '../components/virtual.ts';

const CARD_PX = 280;
const GAP_PX = 12;
/** Of a card, left and right, with its lines. */
const PADDING_PX = 26;
/** Of a card without its lines of guests. */
const HEAD_PX = 108;
/** In a small fleet all guests find a place; in a large one cards stay low. */
const FEW_HOSTS = 60;
const LINES = { few: 8, many: 2 } as const;

/** The hosts as cards, of which only those in sight are there. */
export function HostCards({ names }: { names: readonly string[] }) {
  const list = useRef<HTMLDivElement>(null);
  const width = useWidth(list);
  const columns = Math.max(1, Math.floor((width + GAP_PX) / (CARD_PX + GAP_PX)));
  const inner = (width - GAP_PX * (columns - 1)) / columns - PADDING_PX;
  const most = fleet.hosts.size <= FEW_HOSTS ? LINES.few : LINES.many;
  const lines = useMemo(() => {
    const guests = names.map((name) => fleet.hosts.get(name)?.guests.length ?? 0);
    return Array.from({ length: Math.ceil(names.length / columns) }, (_, row) =>
      linesFor(Math.max(...guests.slice(row * columns, (row + 1) * columns)), inner, most),
    );
  }, [shape.value, names, columns, inner, most]);
  const heights = useMemo(
    () => (width === 0 ? [] : lines.map((each) => HEAD_PX + each * LINE_PX + GAP_PX)),
    [lines, width],
  );
  const rows = useWindowRows(heights, list);
  void revision.value;
  return (
    <div ref={list} class="cards" style={{ height: `${rows.height}px` }}>
      <ul>
        {rows.items.flatMap(({ index, top }) =>
          names.slice(index * columns, (index + 1) * columns).map((name, column) => {
            const host = fleet.hosts.get(name);
            if (host === undefined) return null;
            return (
              <HostCard
                key={name}
                host={host}
                top={top}
                left={column * (inner + PADDING_PX + GAP_PX)}
                height={(heights[index] ?? 0) - GAP_PX}
                width={inner}
                lines={lines[index] ?? 1}
                isPicked={picked.value.has(name)}
              />
            );
          }),
        )}
      </ul>
    </div>
  );
}

interface CardProps {
  readonly host: HostView;
  /** Where it stands in the list, px: the same while it is in sight, so that scrolling paints nothing of it again. */
  readonly top: number;
  readonly left: number;
  readonly height: number;
  /** Of what is in it, px. */
  readonly width: number;
  readonly lines: number;
  readonly isPicked: boolean;
}

/** Drawn anew only when its host is another object: the model replaces what changes. */
const HostCard = memo(function HostCard(parts: CardProps) {
  const { host, top, left, height, width, lines, isPicked } = parts;
  const { name, state, guests, draining } = host;
  const isOld = state !== 'up' && state !== 'new';
  const memory = memoryShare(host);
  const capacity = host.memoryBytes === undefined ? '' : ` of ${formatBytes(host.memoryBytes)}`;
  return (
    <li
      class={`card ${state}${draining ? ' drains' : ''}${isPicked ? ' picked-card' : ''}`}
      data-host={name}
      style={{
        top: `${top}px`,
        left: `${left}px`,
        width: `${width + PADDING_PX}px`,
        height: `${height}px`,
      }}
    >
      <div class="row head">
        {mayOperate() ? (
          <input
            type="checkbox"
            checked={isPicked}
            aria-label={`Pick ${name}`}
            onChange={(event) => pick(name, event.currentTarget.checked)}
          />
        ) : null}
        <h2 class="grow">
          <a href={`/hosts/${name}`}>{name}</a>
        </h2>
        {draining ? (
          <Badge tone="warn" glyph="draining">
            draining
          </Badge>
        ) : null}
        <HostBadge state={state} />
      </div>
      <Meter label="Processor" share={isOld ? undefined : host.processorShare} />
      <Meter
        label="Memory"
        share={memory}
        text={memory === undefined ? 'not known' : `${percentText(memory)}${capacity}`}
      />
      <p class="soft line">
        {counted(guests.length, 'guest')}
        {isOld ? ', as known before' : null}
      </p>
      <GuestBlocks host={name} guests={guests} space={{ width, lines }} />
    </li>
  );
});
