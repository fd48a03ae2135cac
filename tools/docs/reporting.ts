import type { Addresses } from '../addresses.ts';

/** docs/reporting.md: where defects and vulnerabilities are reported, by the addresses of package.json. */
export function reportingPage({ issues, security, repository }: Addresses): string {
  const defects =
    issues === ''
      ? 'This build names no public address for defects. Report them to whoever gave you the package.'
      : `Report defects at <${issues}>. Look there first for the error's code.`;
  const vulnerabilities =
    security === ''
      ? 'This build names no address for vulnerabilities. Report them in private to whoever gave you the package.'
      : `Report vulnerabilities in private to ${security}.`;
  const source = repository === '' ? '' : `\n\nThe source is at <${repository}>.`;
  return `# Report a defect or a vulnerability

## A defect
${defects} Say what you did, what you expected and what happened, and add the output of:
\`\`\`
godwit version
godwit doctor --json
godwit report m-4f2a9c1d --json
journalctl -u godwit-agent
\`\`\`
and \`mover.log\` in the [migration's directory](files.md) on both hosts. None of them has keys or tokens in it. They do have names of hosts, guests and files.${source}

## A vulnerability
${vulnerabilities} Do not open a public issue with its details. Say:

- which build (\`godwit version\`), and what an attacker needs first: a network path, a certificate, a user on a host, a guest;
- what the attacker gains against [what must not be possible](security.md);
- the steps, as exact as you can.

Until a fix is there, [revoke](certificates.md#who-belongs-to-the-fleet) what may be stolen, and close [the ports](ports.md) that others need not reach.
`;
}
