import type { ShapeExpectation, Shape } from '../shape.ts';

const BASE =
  'qemu-system-x86_64 -nodefaults -display none -m 128 -qmp unix:/run/guests/t.qmp,server=on,wait=off';

type More = Partial<Pick<Shape, 'host' | 'since' | 'once' | 'aside' | 'oneVersion'>>;

/** One trait of a guest, on the least that it takes. */
export function trait(
  name: string,
  what: string,
  words: string,
  expected: ShapeExpectation,
  more: More = {},
): Shape {
  return {
    name,
    by: 'trait',
    what,
    line: `${BASE} ${words}`,
    expected,
    aside: ['program'],
    ...more,
  };
}
