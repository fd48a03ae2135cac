import { useLayoutEffect, useRef } from 'preact/hooks';
import { formatBytes } from '../../../src/protocol/quantity.ts';
import { blocksIn, type Space } from '../fleet/blocks.ts';
import { arrivals } from '../fleet/fleet.ts';
import type { GuestView } from '../fleet/model.ts';
import { GUEST_WORDS } from './states.tsx';

/** The guests of a host as blocks, wider with more memory. One that comes from another host on the page flies in from there. */
export function GuestBlocks({
  host,
  guests,
  space,
}: {
  host: string;
  guests: readonly GuestView[];
  space: Space;
}) {
  const { size, shown, hidden } = blocksIn(guests, space);
  const list = useRef<HTMLUListElement>(null);
  useLayoutEffect(() => {
    if (list.current !== null) flyIn(list.current, host);
  });
  if (guests.length === 0) return <p class="soft none">no guests</p>;
  return (
    <ul class={`blocks ${size}`} ref={list} aria-label={`Guests of ${host}`}>
      {shown.map((guest) => (
        <Block key={guest.name} guest={guest} isNamed={size === 'named'} />
      ))}
      {hidden > 0 ? (
        <li>
          <a
            class="more number"
            href={`/hosts/${host}`}
            aria-label={`${hidden} more guests of ${host}`}
          >
            +{hidden}
          </a>
        </li>
      ) : null}
    </ul>
  );
}

function Block({ guest, isNamed }: { guest: GuestView; isNamed: boolean }) {
  const { name, state, memoryBytes } = guest;
  const memory = memoryBytes > 0 ? `, ${formatBytes(memoryBytes)}` : '';
  const words = `${name}: ${GUEST_WORDS[state]}${memory}`;
  return (
    <li>
      <a
        class={`guest ${state}`}
        data-guest={name}
        href={`/guests/${name}`}
        title={words}
        aria-label={words}
      >
        {isNamed ? name : null}
      </a>
    </li>
  );
}

const FLIGHT_MS = 700;

/** Where each guest was drawn last, so that its block can begin there. Bounded by what is on the page. */
function flyIn(list: HTMLElement, host: string): void {
  if (arrivals.length === 0 || matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  for (let at = arrivals.length - 1; at >= 0; at -= 1) {
    const moved = arrivals[at];
    if (moved === undefined || moved.to !== host) continue;
    arrivals.splice(at, 1);
    const block = list.querySelector<HTMLElement>(`[data-guest="${CSS.escape(moved.guest)}"]`);
    const from = document.querySelector<HTMLElement>(`[data-host="${CSS.escape(moved.from)}"]`);
    if (block === null || from === null) continue;
    const [here, there] = [block.getBoundingClientRect(), from.getBoundingClientRect()];
    const x = there.left + there.width / 2 - here.left - here.width / 2;
    const y = there.top + there.height / 2 - here.top - here.height / 2;
    block.classList.add('flying');
    const flight = block.animate(
      [{ transform: `translate(${x}px, ${y}px)` }, { transform: 'none' }],
      { duration: FLIGHT_MS, easing: 'cubic-bezier(0.3, 0.7, 0.2, 1)' },
    );
    void flight.finished.finally(() => block.classList.remove('flying'));
  }
}
