/**
 * What of a line is put aside on a machine without KVM, without vhost and with QEMU as its authors release it. Each rule
 * changes the words of a line, and nothing where it has nothing to put aside. Pure.
 */
export interface Aside {
  readonly why: string;
  readonly apply: (words: readonly string[]) => string[];
}

export type AsideName =
  | 'accelerator'
  | 'cpu-host'
  | 'hyper-v'
  | 'vhost'
  | 'proxmox-build'
  | 'daemon'
  | 'forwards'
  | 'program';

/** In this order. */
export const ASIDE: Readonly<Record<AsideName, Aside>> = {
  program: {
    why: 'the program is one of the QEMUs of this machine, whatever the line calls it',
    apply: (words) => words.slice(/qemu|kvm/.test(words[0] ?? '') ? 1 : 0),
  },
  accelerator: {
    why: 'KVM is not to be had: the processor is emulated',
    apply: (words) =>
      options(words, (name, value) => {
        if (name === 'enable-kvm') return [];
        if (name === 'accel' && value?.startsWith('kvm')) return ['-accel', 'tcg'];
        if (name !== 'machine' && name !== 'M') return undefined;
        return [`-${name}`, (value ?? '').replace(/accel=kvm(:tcg)?/, 'accel=tcg')];
      }),
  },
  'cpu-host': {
    why: '`-cpu host` needs KVM: `max` is the emulated counterpart',
    apply: (words) =>
      options(words, (name, value) =>
        name === 'cpu' ? ['-cpu', (value ?? '').replace(/^host(?=,|$)/, 'max')] : undefined,
      ),
  },
  'hyper-v': {
    why: 'of Hyper-V’s enlightenments only KVM has these: `vpindex`, `runtime`, `synic`, `stimer`, `frequencies`',
    apply: (words) =>
      options(words, (name, value) =>
        name === 'cpu'
          ? [
              '-cpu',
              (value ?? '').replaceAll(/,hv-(vpindex|runtime|synic|stimer|frequencies)=on/g, ''),
            ]
          : undefined,
      ),
  },
  vhost: {
    why: 'this kernel has no vhost: QEMU itself serves the queues',
    apply: (words) =>
      words.map((word) =>
        word
          .replaceAll(/,vhost=on|,vhostfds?=[\d:]+/g, '')
          .replaceAll(/,"vhost":true|,"vhostfds?":"[\d:]+"/g, ''),
      ),
  },
  'proxmox-build': {
    why: 'only Proxmox’s own QEMU knows `-id`, machine types with `+pve` and its event socket’s reconnection',
    apply: (words) =>
      options(words, (name, value) => {
        if (name === 'id') return [];
        if (name === 'machine') return ['-machine', (value ?? '').replace(/\+pve\d+/, '')];
        return undefined;
      }),
  },
  forwards: {
    why: 'both hosts of the trial are one, where a port leads to one guest alone',
    apply: (words) => words.map((word) => word.replaceAll(/,hostfwd=[^,]*/g, '')),
  },
  daemon: {
    why: 'it stays in the foreground, so that its end is seen',
    apply: (words) => words.filter((word) => word !== '-daemonize'),
  },
};

/** Hands each option with its value to `change`, which answers with other words, or undefined to leave it. */
function options(
  words: readonly string[],
  change: (name: string, value: string | undefined) => string[] | undefined,
): string[] {
  const out: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const next = words[at + 1];
    const value = word.startsWith('-') && next?.startsWith('-') === false ? next : undefined;
    const changed = word.startsWith('-') ? change(word.replace(/^--?/, ''), value) : undefined;
    out.push(...(changed ?? (value === undefined ? [word] : [word, value])));
    if (value !== undefined) at += 1;
  }
  return out;
}

/** The words without what is put aside. */
export function putAside(words: readonly string[], names: readonly AsideName[]): string[] {
  const order = Object.keys(ASIDE) as AsideName[];
  return order
    .filter((name) => names.includes(name))
    .reduce((before: string[], name) => ASIDE[name].apply(before), [...words]);
}
