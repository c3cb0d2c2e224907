/** Values as people read them. */

export function cpu(millicores: number): string {
  return trimmed(millicores / 1000);
}

/** Cores in use: small amounts are told apart, too. */
export function cores(amount: number): string {
  const said = amount >= 1 || amount === 0 ? trimmed(amount) : amount >= 0.0005 ? String(Number(amount.toPrecision(2))) : "0";
  return said === "1" ? "1 core" : `${said} cores`;
}

export function bytes(amount: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let size = amount;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${trimmed(size)} ${units[unit]}`;
}

const trimmed = (value: number): string => (value >= 100 ? Math.round(value) : Math.round(value * 10) / 10).toString();

export function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

export function count(amount: number): string {
  return amount.toLocaleString("en-GB");
}

export function plural(amount: number, one: string, many = `${one}s`): string {
  return `${count(amount)} ${amount === 1 ? one : many}`;
}

/** A length of time in its largest unit or two: `45s`, `3m 10s`, `2d 4h`. */
export function span(ms: number): string {
  let left = Math.max(0, Math.floor(ms / 1000));
  const parts: string[] = [];
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]] as const) {
    const whole = Math.floor(left / size);
    left -= whole * size;
    if (whole || parts.length) parts.push(`${whole}${unit}`);
  }
  return parts.slice(0, 2).filter((part) => !part.startsWith("0")).join(" ") || "0s";
}

export function clock(at: string | number): string {
  return new Date(at).toLocaleTimeString("en-GB");
}

export function moment(at: string | number): string {
  const when = new Date(at);
  return `${when.toLocaleDateString("en-CA")} ${when.toLocaleTimeString("en-GB")}`;
}

export function share(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
