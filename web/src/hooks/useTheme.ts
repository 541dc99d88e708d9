import { useEffect } from "react";
import { useSettings } from "../state/settings";

/** Light or dark as chosen; without a choice as the system has it. */
export function useTheme(): void {
  const theme = useSettings((settings) => settings.theme);
  useEffect(() => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }, [theme]);
}
