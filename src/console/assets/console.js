// Starts everything that script adds to pages which work without it.
import "./menu.js";
import "./dialog.js";
import "./copy.js";
import "./refresh.js";
import "./search.js";
import "./chart.js";
import { tellNotice } from "./live.js";

document.documentElement.classList.add("scripted");
tellNotice();
