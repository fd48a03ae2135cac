import {
  observeWindowOffset,
  observeWindowRect,
  Virtualizer,
  windowScroll,
} from '@tanstack/virtual-core';
import type { VirtualItem, VirtualizerOptions } from '@tanstack/virtual-core';
import { useLayoutEffect, useReducer, useRef, useState } from 'preact/hooks';

export interface Rows {
  /** Those to draw, each with where it begins, px from the top of the list. */
  readonly items: readonly VirtualItem[];
  /** Of all of them, px. */
  readonly height: number;
}

/** Of rows of these heights, px, those that the window shows, and a few around them; `list`: what holds them. */
export function useWindowRows(
  heights: readonly number[],
  list: { current: HTMLElement | null },
): Rows {
  const [, draw] = useReducer((before: number) => before + 1, 0);
  const margin = useRef(0);
  const options: VirtualizerOptions<Window, Element> = {
    count: heights.length,
    getScrollElement: () => window,
    estimateSize: (index) => heights[index] ?? 0,
    observeElementRect: observeWindowRect,
    observeElementOffset: observeWindowOffset,
    scrollToFn: windowScroll,
    initialOffset: () => window.scrollY,
    initialRect: { width: innerWidth, height: innerHeight },
    scrollMargin: margin.current,
    overscan: 3,
    onChange: () => draw(undefined),
  };
  const [virtualizer] = useState(() => new Virtualizer<Window, Element>(options));
  virtualizer.setOptions(options);
  useLayoutEffect(() => virtualizer._didMount(), [virtualizer]);
  useLayoutEffect(() => virtualizer.measure(), [virtualizer, heights]);
  useLayoutEffect(() => {
    virtualizer._willUpdate();
    const top = list.current === null ? 0 : list.current.getBoundingClientRect().top + scrollY;
    if (Math.abs(top - margin.current) < 1) return;
    margin.current = top;
    draw(undefined);
  });
  return { items: virtualizer.getVirtualItems(), height: virtualizer.getTotalSize() };
}

/** The width of an element, px, as it changes. */
export function useWidth(of: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const { current } = of;
    if (current === null) return undefined;
    const observer = new ResizeObserver(() => setWidth(current.clientWidth));
    observer.observe(current);
    setWidth(current.clientWidth);
    return () => observer.disconnect();
  }, [of]);
  return width;
}
