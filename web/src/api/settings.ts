/** What the server has for everybody. */
export interface ServerSettings {
  /** Selected at first. */
  voice: string | null;
  theme: "system" | "light" | "dark";
  status_interval_ms: number;
  sample_rate: number;
  noise_suppression: boolean;
  auto_gain: boolean;
  echo_cancellation: boolean;
}
