import { useLayoutEffect, useRef, useState } from 'preact/hooks';

/** A table that may be wider than its place. It says so, because a phone shows no scroll bar. */
export function Scrolls({
  label,
  children,
}: {
  label: string;
  children: preact.ComponentChildren;
}) {
  const place = useRef<HTMLDivElement>(null);
  const [isWide, setWide] = useState(false);
  const [isAtEnd, setAtEnd] = useState(false);
  useLayoutEffect(() => {
    const { current } = place;
    if (current === null) return undefined;
    const look = (): void => {
      const { scrollLeft, clientWidth, scrollWidth } = current;
      setWide(scrollWidth > clientWidth + 1);
      setAtEnd(scrollLeft + clientWidth >= scrollWidth - 4);
    };
    const observer = new ResizeObserver(look);
    observer.observe(current);
    for (const child of current.children) observer.observe(child);
    current.addEventListener('scroll', look, { passive: true });
    look();
    return () => {
      observer.disconnect();
      current.removeEventListener('scroll', look);
    };
  }, []);
  return (
    <div class={isWide && !isAtEnd ? 'scroll-area more-right' : 'scroll-area'}>
      {isWide ? <p class="soft scroll-hint">Scroll sideways for all columns →</p> : null}
      <div class="scrolls" ref={place} tabIndex={0} role="group" aria-label={label}>
        {children}
      </div>
    </div>
  );
}
