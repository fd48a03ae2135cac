/** As QEMU splits an option: at commas that are not doubled. */
export function pairs(value: string): { head: string; all: [string, string][] } {
  if (value.startsWith('{')) {
    const json = JSON.parse(value) as Record<string, string | number | boolean | object>;
    const all = Object.entries(json).map(([key, held]): [string, string] => [
      key,
      typeof held === 'object' ? JSON.stringify(held) : `${held}`,
    ]);
    const isHead = (key: string): boolean => key === 'driver' || key === 'qom-type';
    return {
      head: all.find(([key]) => isHead(key))?.[1] ?? '',
      all: all.filter(([key]) => !isHead(key)),
    };
  }
  const parts = value.replaceAll(',,', '\u{1}').split(',');
  const [head = '', ...rest] = parts[0]?.includes('=') === true ? ['', ...parts] : parts;
  const all = rest.map((part): [string, string] => {
    const at = part.indexOf('=');
    return at === -1 ? [part, 'on'] : [part.slice(0, at), part.slice(at + 1)];
  });
  const whole = (text: string): string => text.replaceAll('\u{1}', ',');
  return { head: whole(head), all: all.map(([key, held]) => [whole(key), whole(held)]) };
}
