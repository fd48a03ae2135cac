import type { Secret } from './scram.ts';

/**
 * Parses auth.conf, the credentials of libvirt's clients. `[auth-libvirt-HOST]`, or `[auth-libvirt-default]`,
 * names `[credentials-NAME]`, which has `authname` and `password`. Pure.
 */

type Section = Readonly<Record<string, string>>;

export function secretIn(text: string, host: string): Secret | undefined {
  const sections = sectionsOf(text);
  const login = sections.get(`auth-libvirt-${host}`) ?? sections.get('auth-libvirt-default');
  const name = login?.['credentials'] ?? '';
  const found: Section = sections.get(`credentials-${name}`) ?? {};
  const { authname, username, password } = found;
  const user = authname ?? username;
  return user === undefined || password === undefined ? undefined : { user, password };
}

function sectionsOf(text: string): ReadonlyMap<string, Section> {
  const sections = new Map<string, Record<string, string>>();
  let section: Record<string, string> = {};
  for (const line of text.split('\n').map((each) => each.trim())) {
    const [, name] = /^\[([^\]]*)\]$/.exec(line) ?? [];
    if (name !== undefined) {
      section = sections.get(name) ?? {};
      sections.set(name, section);
    } else if (!line.startsWith('#') && line.includes('=')) {
      const at = line.indexOf('=');
      section[line.slice(0, at).trim()] = line.slice(at + 1).trim();
    }
  }
  return sections;
}
