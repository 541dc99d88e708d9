import { createRoot } from "react-dom/client";
import { App } from "./App";
import { controller } from "./state/controller";
import "./styles/page.css";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no place for the page");
controller.begin();
createRoot(root).render(<App />);
Object.assign(window, { menura: { stats: () => controller.stats(), live: controller } });
