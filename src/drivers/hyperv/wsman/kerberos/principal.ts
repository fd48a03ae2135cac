/** `user@REALM`: Active Directory's realms are upper case. Undefined for a user without a realm. */
export function principalOf(user: string): string | undefined {
  const found = /^([^@\\/\s]+)@([A-Za-z0-9][A-Za-z0-9.-]*)$/.exec(user);
  return found === null ? undefined : `${found[1]}@${found[2]?.toUpperCase()}`;
}
