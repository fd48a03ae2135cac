import {
  observeWindowOffset,
  observeWindowRect,
  Virtualizer,
  windowScroll,
  type VirtualizerOptions,
} from '@tanstack/virtual-core';
import { useLayoutEffect, useReducer, useRef, useState } from 'preact/hooks';

export interface Rows {
  /** Those to draw, each with where it begins, px from the top of the list. */
  readonly items: readonly { readonly index: number; readonly top: number }[];
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
  useLayoutEffect(() => virtualizer._willUpdate());
  // Where the list begins changes with what stands above it, and that changes the page's height. It is not asked for with
  // each turn of the wheel: the browser would lay everything out for the answer.
  useLayoutEffect(() => {
    const measure = (): void => {
      const top = list.current === null ? 0 : list.current.getBoundingClientRect().top + scrollY;
      if (Math.abs(top - margin.current) < 1) return;
      margin.current = top;
      draw(undefined);
    };
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    measure();
    return () => observer.disconnect();
  }, [heights]);
  return {
    items: virtualizer.getVirtualItems().map(({ index, start }) => ({
      index,
      top: start - margin.current,
    })),
    height: virtualizer.getTotalSize(),
  };
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
