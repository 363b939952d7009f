"""Every text of the pages, in English and Kiswahili."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from data.official import NAIROBI

if TYPE_CHECKING:
    from datetime import datetime

LANGUAGES = {"en": "English", "sw": "Kiswahili"}

_TEXTS: dict[str, tuple[str, str]] = {
    "title": ("eCitizen outage tracker", "Kifuatiliaji cha matatizo ya eCitizen"),
    "demo": (
        "DEMO: these posts are synthetic, written for this project. The official words are real; their sources are named.",
        "DEMO: machapisho haya ni ya kubuni, yameandikwa kwa mradi huu. Maneno rasmi ni ya kweli; vyanzo vimetajwa.",
    ),
    "pretended": ("The clock is pretended: it shows {now} EAT.", "Saa ni ya kuigiza: inaonyesha {now} EAT."),
    "now": ("Now {now} EAT · refreshes by itself every minute", "Sasa {now} EAT · hujisasisha kila dakika"),
    "word_above": ("Above usual", "Zaidi ya kawaida"),
    "word_usual": ("As usual", "Kama kawaida"),
    "word_cannot_tell": ("Cannot tell yet", "Bado haijulikani"),
    "word_blind": ("We are not looking", "Hatuoni kwa sasa"),
    "word_behind": ("Cannot tell yet", "Bado haijulikani"),
    "word_empty": ("Nothing collected yet", "Hakuna kilichokusanywa bado"),
    "status_above": (
        "{people} people complained about eCitizen in the last hour; at this hour it is usually {usual:.0f}.",
        "Watu {people} wamelalamika kuhusu eCitizen saa iliyopita; kwa kawaida saa hii huwa {usual:.0f}.",
    ),
    "status_usual": (
        "{people} people complained about eCitizen in the last hour; at this hour it is usually {usual:.0f}.",
        "Watu {people} wamelalamika kuhusu eCitizen saa iliyopita; kwa kawaida saa hii huwa {usual:.0f}.",
    ),
    "status_cannot_tell": (
        "{people} people complained in the last hour, but fewer than 3 earlier days are covered to compare with.",
        "Watu {people} wamelalamika saa iliyopita, lakini siku za kulinganisha ni chini ya 3.",
    ),
    "status_blind": (
        "Not looked at for over 30 minutes: {silent} (last look at anything: {looked}). A quiet chart means nothing now: see `tracker doctor`.",
        "Havijaangaliwa kwa zaidi ya dakika 30: {silent} (mwisho: {looked}). Tazama `tracker doctor`.",
    ),
    "status_behind": (
        "Posts of the last hour wait for their labels ({waiting} in all): is `tracker classify` or `tracker run` running?",
        "Machapisho ya saa iliyopita yanasubiri lebo ({waiting} kwa jumla): je, `tracker classify` au `tracker run` inaendeshwa?",
    ),
    "status_empty": (
        "Import a file with `tracker import FILE`, start collecting with `tracker run`, or see the replay with `make demo`.",
        "Ingiza faili kwa `tracker import FILE`, anza kukusanya kwa `tracker run`, au tazama mfano kwa `make demo`.",
    ),
    "resting": (
        "{source} is not being read: it failed {failures} times since {since} EAT. {reason}. It is tried again {again} EAT.",
        "{source} haisomwi: imeshindwa mara {failures} tangu {since} EAT. {reason}. Itajaribiwa tena {again} EAT.",
    ),
    "budget_counting": (
        "X's budget is nearly used ({amount}): its posts are only counted, not read, until {until} EAT. "
        "Counted since {since} EAT and not read: {posts}.",
        "Bajeti ya X inakaribia kwisha ({amount}): machapisho yake yanahesabiwa tu, hayasomwi, hadi {until} EAT. "
        "Yaliyohesabiwa tangu {since} EAT na hayajasomwa: {posts}.",
    ),
    "budget_stopped": (
        "X's budget is used up ({amount}): X is not looked at until {until} EAT. The other sources go on.",
        "Bajeti ya X imekwisha ({amount}): X haiangaliwi hadi {until} EAT. Vyanzo vingine vinaendelea.",
    ),
    "amount_usd": ("${used:,.2f} of ${limit:,.2f}", "${used:,.2f} kati ya ${limit:,.2f}"),
    "amount_posts": ("{used:,.0f} of {limit:,.0f} posts", "machapisho {used:,.0f} kati ya {limit:,.0f}"),
    "facts": (
        "Newest post {newest} EAT · looked at until {looked} EAT · {waiting} posts wait for a label",
        "Chapisho jipya {newest} EAT · tumeangalia hadi {looked} EAT · machapisho {waiting} yanasubiri lebo",
    ),
    "never": ("never", "kamwe"),
    "weekdays": ("Sun Mon Tue Wed Thu Fri Sat", "Jpl Jtt Jnn Jtn Alh Ijm Jms"),
    "months": (
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "Jan Feb Mac Apr Mei Jun Jul Ago Sep Okt Nov Des",
    ),
    "filters": ("Filters", "Vichujio"),
    "period": ("Period", "Kipindi"),
    "period_1": ("Last 24 hours", "Saa 24 zilizopita"),
    "period_3": ("Last 3 days", "Siku 3 zilizopita"),
    "period_7": ("Last 7 days", "Siku 7 zilizopita"),
    "period_14": ("Last 14 days", "Siku 14 zilizopita"),
    "period_all": ("Everything", "Zote"),
    "period_dates": ("Choose days", "Chagua siku"),
    "days": ("Days (East Africa Time)", "Siku (saa za Afrika Mashariki)"),
    "problem": ("Problem", "Tatizo"),
    "source": ("Source", "Chanzo"),
    "lang": ("Language of the post", "Lugha ya chapisho"),
    "everything": ("all", "zote"),
    "people_complaining": ("People complaining", "Watu wanaolalamika"),
    "share_of": ("{problem} share", "Sehemu ya {problem}"),
    "peak": ("Most in a bar", "Kilele"),
    "first_official": ("First official word", "Neno rasmi la kwanza"),
    "none": ("none", "hakuna"),
    "volume": ("People complaining about eCitizen", "Watu wanaolalamika kuhusu eCitizen"),
    "volume_note": (
        "Each person once in a bar, under the problem that the model is surest of, near-copies of one text too (the incidents count three people of "
        "each at most). People posting, not people affected. "
        "Outlined: official messages, as wide as their time is known (a whole day where no hour is). Grey: nobody looked. "
        "Click a bar to read its posts.",
        "Kila mtu mara moja kwa kila mhimili, chini ya tatizo ambalo modeli ina uhakika nalo zaidi, hata nakala za maandishi yaleyale (matukio huhesabu "
        "watu watatu tu wa kila nakala). Ni watu wanaochapisha, si wote walioathirika. "
        "Mistari ya kuzunguka: ujumbe rasmi, kwa upana wa muda unaojulikana. Kijivu: hakuna aliyeangalia. Bofya mhimili usome machapisho.",
    ),
    "shares": ("What they complain of", "Wanacholalamikia"),
    "shares_note": (
        "Share of the people complaining who name each problem; one may name several.",
        "Sehemu ya wanaolalamika wanaotaja kila tatizo; mtu anaweza kutaja zaidi ya moja.",
    ),
    "sentiment": ("Sentiment of posts about eCitizen", "Hisia za machapisho kuhusu eCitizen"),
    "lanes": (
        "Beside it, never counted as complaints about eCitizen: rumours, complaints about other government services, M-Pesa, banks "
        "and networks, adverts, and what is about none of these",
        "Kando, hazihesabiwi kama malalamiko ya eCitizen: uvumi, malalamiko ya huduma nyingine za serikali, M-Pesa, benki na mitandao, "
        "matangazo ya biashara, na yasiyohusu lolote kati ya haya",
    ),
    "official": ("Official messages", "Ujumbe rasmi"),
    "official_none": (
        "No official message in this period. Add one with `tracker status add`.",
        "Hakuna ujumbe rasmi katika kipindi hiki. Ongeza kwa `tracker status add`.",
    ),
    "unconfirmed": ("unconfirmed", "haijathibitishwa"),
    "official_note": (
        "An unconfirmed message is of an account whose id nobody has checked (`tracker status confirm`): it grades nothing.",
        "Ujumbe ambao haujathibitishwa ni wa akaunti ambayo kitambulisho chake hakijakaguliwa (`tracker status confirm`): hautumiki kupima chochote.",
    ),
    "official_undrawn": (
        "The chart has room for {drawn} of {total} official messages: those on a disruption before the others, the newest first.",
        "Chati ina nafasi ya ujumbe rasmi {drawn} kati ya {total}: kwanza wa hitilafu, kisha mwingine, mpya kwanza.",
    ),
    "impostors": (
        "Suspected impostors: accounts that look like an official one ({count})",
        "Akaunti zinazoshukiwa kuiga akaunti rasmi ({count})",
    ),
    "impostors_note": (
        "Nothing that they write is taken for an official message. A suspicion is no proof: open the post and judge. "
        "`tracker status not-impostor` takes a false one off.",
        "Chochote wanachoandika hakichukuliwi kuwa ujumbe rasmi. Shaka si uthibitisho: fungua chapisho uamue. "
        "`tracker status not-impostor` huondoa shaka isiyo ya kweli.",
    ),
    "column_resembles": ("Looks like", "Inafanana na"),
    "column_reason": ("Why", "Kwa nini"),
    "handle_same": (
        "same handle but for case, signs and look-alike letters",
        "jina la akaunti lilelile isipokuwa herufi kubwa, alama na herufi zinazofanana",
    ),
    "handle_word": ("handle with another added word or number", "jina la akaunti lenye neno au nambari ya ziada"),
    "handle_letter": ("handle but for one letter", "jina la akaunti isipokuwa herufi moja"),
    "name_same": (
        "same displayed name but for case, signs and look-alike letters",
        "jina la kuonyesha lilelile isipokuwa herufi kubwa, alama na herufi zinazofanana",
    ),
    "name_word": (
        "displayed name with another added word or number",
        "jina la kuonyesha lenye neno au nambari ya ziada",
    ),
    "name_letter": ("displayed name but for one letter", "jina la kuonyesha isipokuwa herufi moja"),
    "not_counted": ("Not counted ({count:,} posts)", "Hayakuhesabiwa (machapisho {count:,})"),
    "not_counted_note": (
        "Posts that were found and are no complaints about eCitizen, each with the reason. What is wrong here can be corrected "
        "with `tracker correct`.",
        "Machapisho yaliyopatikana ambayo si malalamiko kuhusu eCitizen, kila moja na sababu. Yenye makosa yanaweza kusahihishwa "
        "kwa `tracker correct`.",
    ),
    "not_counted_choose": ("Reason", "Sababu"),
    "posts": ("The posts", "Machapisho"),
    "posts_of_bar": ("Posts behind the bar of {when}: {problem}", "Machapisho ya mhimili wa {when}: {problem}"),
    "posts_note": (
        "Redacted, but names in the text are not recognised; authors are kept as keyed hashes. Showing {shown:,} of {total:,}.",
        "Taarifa binafsi zimefichwa, lakini majina ndani ya maandishi hayatambuliwi. Yanaonyeshwa {shown:,} kati ya {total:,}.",
    ),
    "posts_none": (
        "No complaint in this period with these filters.",
        "Hakuna lalamiko katika kipindi hiki kwa vichujio hivi.",
    ),
    "no_coverage": (
        "In this period no source was looked at: an empty chart is not a calm.",
        "Katika kipindi hiki hakuna chanzo kilichoangaliwa: chati tupu si utulivu.",
    ),
    "page_incidents": ("Incidents", "Matukio"),
    "incidents": ("Incidents", "Matukio"),
    "incidents_note": (
        "An incident is a time in which far more people complain about eCitizen than usual; it keeps its number and the moment it was raised. "
        "People posting, not people affected. All times East Africa Time.",
        "Tukio ni muda ambao watu wengi kuliko kawaida wanalalamika kuhusu eCitizen; nambari yake na wakati wa kutangazwa havibadiliki. "
        "Ni watu wanaochapisha, si wote walioathirika. Saa zote ni za Afrika Mashariki.",
    ),
    "incidents_lane": ("Show", "Onyesha"),
    "lane_complaint": ("Incidents", "Matukio"),
    "lane_rumour": ("Rumours", "Uvumi"),
    "incidents_none": (
        "No incident so far. `tracker run` watches for them by itself, `tracker incidents` looks once; either needs posts that were "
        "collected (or imported with `tracker import`) and labelled: `tracker doctor` says what is missing.",
        "Hakuna tukio hadi sasa. `tracker run` huyatafuta yenyewe, `tracker incidents` hutafuta mara moja; yote yanahitaji machapisho "
        "yaliyokusanywa (au kuingizwa kwa `tracker import`) na kupewa lebo: `tracker doctor` husema kinachokosekana.",
    ),
    "rumours_none": (
        "No burst of rumours so far: five people in a day, and four times as many as usual, would make one.",
        "Hakuna wimbi la uvumi hadi sasa: watu watano kwa siku, na mara nne ya kawaida, ndio huanzisha taarifa.",
    ),
    "incident_choose": ("Which one", "Lipi"),
    "incident_title": ("Incident {id}", "Tukio {id}"),
    "rumour_title": ("Rumour {id}", "Uvumi {id}"),
    "incident_unknown": ("There is no incident {id}.", "Hakuna tukio {id}."),
    "column_id": ("No.", "Na."),
    "column_state": ("State", "Hali"),
    "column_started": ("Since", "Tangu"),
    "column_ended": ("Quiet since", "Tulivu tangu"),
    "column_people": ("People posting", "Wanaochapisha"),
    "column_severity": ("Severity", "Uzito"),
    "column_grade": ("Grade", "Alama"),
    "column_because": ("Why", "Kwa nini"),
    "column_verdict": ("Judged", "Uamuzi"),
    "column_denials": ("Denied by", "Waliokanusha"),
    "column_name": ("Name", "Jina"),
    "column_share": ("Share", "Sehemu"),
    "column_people_naming": ("People", "Watu"),
    "column_note": ("Note", "Maelezo"),
    "column_by": ("By (pseudonym)", "Na (jina la msimbo)"),
    "state_open": ("open", "linaendelea"),
    "state_quiet": ("quiet", "limetulia"),
    "state_cannot_tell": ("cannot be told", "haijulikani"),
    "severity_severe": ("severe", "kali sana"),
    "severity_major": ("major", "kubwa"),
    "severity_minor": ("minor", "dogo"),
    "verdict_confirmed": ("confirmed", "limethibitishwa"),
    "verdict_dismissed": ("dismissed", "limekataliwa"),
    "not_judged": ("by nobody yet", "bado"),
    "planned": ("planned maintenance, announced beforehand", "matengenezo yaliyotangazwa mapema"),
    "no_grade": ("none", "hakuna"),
    "banner_open": ("Incident {id} is open: {what} ({severity})", "Tukio {id} linaendelea: {what} ({severity})"),
    "banner_cannot_tell": (
        "Incident {id}: whether it is over cannot be told ({what}; {severity})",
        "Tukio {id}: haijulikani kama limeisha ({what}; {severity})",
    ),
    "banner_cannot_tell_why": (
        "Too few people post at this hour, or nobody looked: silence now proves nothing.",
        "Watu wanaochapisha saa hii ni wachache mno, au hakuna aliyeangalia: ukimya sasa hauthibitishi chochote.",
    ),
    "banner_planned": (
        "Planned maintenance, announced beforehand: incident {id}, {what}",
        "Matengenezo yaliyopangwa na kutangazwa mapema: tukio {id}, {what}",
    ),
    "banner_since": (
        "Since {since} EAT ({passed}): {people:,} people posting, at most {peak:,} in an hour; usually {usual} posts an hour.",
        "Tangu {since} EAT ({passed}): watu {people:,} wanachapisha, kilele {peak:,} kwa saa; kwa kawaida machapisho {usual} kwa saa.",
    ),
    "no_problem_yet": ("no problem named", "hakuna tatizo lililotajwa"),
    "passed": ("{hours} h {minutes} min", "saa {hours} dakika {minutes}"),
    "spoken_none": ("No official word is known.", "Hakuna neno rasmi linalojulikana."),
    "spoken": ("Officials: {words}", "Maafisa: {words}"),
    "spoken_word": ("{who}: {status}, to {scope}, {at}", "{who}: {status}, kwa {scope}, {at}"),
    "unconfirmed_words": ("Unconfirmed, grades nothing: {words}", "Haijathibitishwa, haipimi chochote: {words}"),
    "time_day": ("some time on {at}", "wakati fulani {at}"),
    "clock": (
        "Grade clock: a word in the next {minutes} min (until {until} EAT) would be graded {grade}, after that {next}.",
        "Saa ya alama: neno ndani ya dakika {minutes} zijazo (hadi {until} EAT) litapata alama {grade}, baada ya hapo {next}.",
    ),
    "clock_unheard": (
        "But confirmed official accounts are not listened to, so a word may have been missed: `tracker collect official`, or `tracker status add` what was said.",
        "Lakini akaunti rasmi zilizothibitishwa hazisikilizwi, neno linaweza kuwa limepotea: `tracker collect official`, au ongeza kwa `tracker status add`.",
    ),
    "grade_is": ("Grade {grade}: {because}.", "Alama {grade}: {because}."),
    "grade_not": ("No grade: {because}.", "Hakuna alama: {because}."),
    "own_grade_is": ("eCitizen's own grade {grade}: {because}.", "Alama {grade} ya eCitizen yenyewe: {because}."),
    "own_grade_not": ("No grade of eCitizen's own: {because}.", "eCitizen yenyewe haina alama: {because}."),
    "because_too_early": (
        "nobody has spoken, and four hours have not passed",
        "hakuna aliyesema, na saa nne hazijapita",
    ),
    "because_not_heard": (
        "no word is known, but the confirmed official accounts were not listened to in its first four hours",
        "hakuna neno linalojulikana, lakini akaunti rasmi zilizothibitishwa hazikusikilizwa saa nne za kwanza",
    ),
    "because_never": ("nobody spoke within four hours", "hakuna aliyesema ndani ya saa nne"),
    "because_coarse": (
        "the first word is known only to the {precision}, which leaves the grade open",
        "neno la kwanza linajulikana kwa {precision} tu, hivyo alama haiwezi kujulikana",
    ),
    "because_perhaps_earlier": (
        "confirmed official accounts were not listened to up to the first word known, so an earlier one may be missing",
        "akaunti rasmi zilizothibitishwa hazikusikilizwa hadi neno la kwanza linalojulikana, huenda lipo la mapema zaidi",
    ),
    "because_spoken": ("the first word came after {minutes} min", "neno la kwanza lilikuja baada ya dakika {minutes}"),
    "precision_day": ("day", "siku"),
    "precision_hour": ("hour", "saa"),
    "precision_minute": ("minute", "dakika"),
    "grade_own": ("eCitizen's own", "Ya eCitizen yenyewe"),
    "too_early": (
        "Resolved too early: {count:,} complaints since ({words}).",
        "Ilisemwa imetatuliwa mapema mno: malalamiko {count:,} tangu hapo ({words}).",
    ),
    "see_record": ("See its record", "Tazama rekodi yake"),
    "rumour_notice": (
        "{which}: {people:,} people since {since} EAT, {state}. Not counted as complaints.",
        "{which}: watu {people:,} tangu {since} EAT, {state}. Hauhesabiwi kama malalamiko.",
    ),
    "denied": ("Denied: {words}", "Umekanushwa: {words}"),
    "denied_not": ("No official denial is known.", "Hakuna kanusho rasmi linalojulikana."),
    "rumour_notices": ("Rumours going round", "Uvumi unaoenea"),
    "incident_marks": (
        "The strip above the bars: incidents, from onset to quiet, with the steps of their ladders.",
        "Ukanda juu ya mihimili: matukio, tangu kuanza hadi kutulia, na hatua zake.",
    ),
    "incidents_undrawn": (
        "The chart has room for the newest {drawn} of {total} incidents; the page Incidents has all.",
        "Chati ina nafasi ya matukio mapya {drawn} kati ya {total}; ukurasa wa Matukio unayo yote.",
    ),
    "rung_onset": ("onset", "mwanzo"),
    "rung_first_complaint": ("first complaint", "lalamiko la kwanza"),
    "rung_raised": ("raised", "king'ora"),
    "rung_first_official": ("first official word", "neno rasmi la kwanza"),
    "rung_first_statement": ("first to everyone", "la kwanza kwa wote"),
    "rung_first_from_ecitizen": ("first from eCitizen", "la kwanza kutoka eCitizen"),
    "rung_update": ("update", "taarifa"),
    "rung_workaround": ("workaround", "njia mbadala"),
    "rung_resolved": ("said to be resolved", "ilisemwa imetatuliwa"),
    "rung_quiet": ("quiet", "utulivu"),
    "rung_planned": ("announced maintenance", "matengenezo yaliyotangazwa"),
    "gap": ("{minutes:+,} min", "dakika {minutes:+,}"),
    "gap_between": ("{low:+,} to {high:+,} min", "dakika {low:+,} hadi {high:+,}"),
    "ladder": ("Who said what, when", "Nani alisema nini, lini"),
    "ladder_note": (
        "Minutes count from the onset. A word whose time is known only to the hour or the day is drawn that wide, and its minutes are a range.",
        "Dakika zinahesabiwa tangu mwanzo. Neno ambalo wakati wake unajulikana kwa saa au siku tu huchorwa kwa upana huo, na dakika zake ni masafa.",
    ),
    "credited": ("An official word came before our alarm.", "Neno rasmi lilikuja kabla ya king'ora chetu."),
    "not_credited_hindsight": (
        "Whether an official word came before an alarm cannot be said: it was found in hindsight, from posts that came in later.",
        "Haiwezi kusemwa kama neno rasmi lilikuja kabla ya king'ora: lilipatikana baadaye, kutoka machapisho yaliyoingia nyuma.",
    ),
    "not_credited_coarse": (
        "Whether an official word came before our alarm cannot be said: its time is not known precisely enough.",
        "Haiwezi kusemwa kama neno rasmi lilikuja kabla ya king'ora chetu: wakati wake haujulikani kwa usahihi wa kutosha.",
    ),
    "quiet_after": (
        "Complaints went on for {minutes:,} min after it was said to be resolved.",
        "Malalamiko yaliendelea kwa dakika {minutes:,} baada ya kusemwa imetatuliwa.",
    ),
    "after_resolved": (
        "{count:,} complaints after it was said to be resolved.",
        "Malalamiko {count:,} baada ya kusemwa imetatuliwa.",
    ),
    "peak_hour": ("Most people in an hour", "Kilele cha watu kwa saa"),
    "usual_hour": ("usually {usual} posts an hour", "kawaida machapisho {usual} kwa saa"),
    "posts_count": ("{posts:,} posts", "machapisho {posts:,}"),
    "people_counted": (
        "{counted:,} of them count for the severity and the shares: of people who post copies of one text, three.",
        "{counted:,} kati yao wanahesabiwa kwa uzito na hisa: kati ya wanaochapisha nakala za maandishi yale yale, watatu.",
    ),
    "judged": ("Judged by people", "Uamuzi wa watu"),
    "shares_of": ("Of the people, so many name or use", "Kati ya watu, wanaotaja au kutumia"),
    "share_problems": ("Problems", "Matatizo"),
    "share_services": ("Services", "Huduma"),
    "share_langs": ("Languages", "Lugha"),
    "share_sources": ("Sources", "Vyanzo"),
    "share_none": ("none named", "hakuna"),
    "hints": ("What people name", "Wanachotaja watu"),
    "hints_note": (
        "Hints from their words, no verdict on the cause.",
        "Ni dokezo kutoka maneno yao, si uamuzi wa chanzo.",
    ),
    "hint": ("{what}: {people:,} of {total:,} people", "{what}: watu {people:,} kati ya {total:,}"),
    "hints_none": ("Nobody names a cause that we know.", "Hakuna anayetaja chanzo tunachokijua."),
    "hint_own_platform": ("the site, app or log-in", "tovuti, programu au kuingia"),
    "hint_mpesa": ("M-Pesa or the paybill", "M-Pesa au paybill"),
    "hint_network": ("the network or data bundles", "mtandao au bando"),
    "hint_other_agency": ("another agency", "wakala mwingine"),
    "apart": ("Words that set it apart", "Maneno yanayolitofautisha"),
    "samples": ("What people say", "Wanachosema watu"),
    "samples_note": (
        "Three posts unlike each other. Redacted, but names in the text are not recognised.",
        "Machapisho matatu yasiyofanana. Taarifa binafsi zimefichwa, lakini majina hayatambuliwi.",
    ),
    "evidence": ("Evidence: the first {count} posts", "Ushahidi: machapisho {count} ya kwanza"),
    "today_same": (
        "The store as it is now would show the same.",
        "Hifadhi ilivyo sasa ingeonyesha vivyo hivyo.",
    ),
    "today_differs": (
        "The store as it is now would show it from {started} to {last} EAT ({state}), {people:,} people posting, raised {raised} EAT: posts came late, or labels changed. What was raised stays.",
        "Hifadhi ilivyo sasa ingeonyesha tangu {started} hadi {last} EAT ({state}), watu {people:,} wanaochapisha, limetangazwa {raised} EAT: machapisho yalichelewa au lebo zilibadilika. Lililotangazwa halibadiliki.",
    ),
    "today_gone": (
        "The store as it is now would not show it: its posts were erased, or labelled otherwise. What was raised stays.",
        "Hifadhi ilivyo sasa isingelionyesha: machapisho yamefutwa au lebo zimebadilika. Lililotangazwa halibadiliki.",
    ),
    "unconfirmed_title": ("Unconfirmed words", "Maneno ambayo hayajathibitishwa"),
    "unconfirmed_note": (
        "Of accounts whose id nobody has checked: they grade nothing and stand on no rung.",
        "Ya akaunti ambazo hazijakaguliwa: hazitumiki kupima na hazimo kwenye ngazi.",
    ),
    "say_so": ("What do you say?", "Unasemaje?"),
    "say_so_note": (
        "Kept with the incident, never overwritten; the newest judgement counts, and alerts about a dismissed one end.",
        "Huhifadhiwa na tukio, haifutwi; uamuzi wa mwisho ndio huhesabiwa, na arifa za lililokataliwa hukoma.",
    ),
    "note": (
        "Note (personal data in it is redacted, names are not)",
        "Maelezo (taarifa binafsi hufichwa, majina hayafichwi)",
    ),
    "confirm": ("Confirm", "Thibitisha"),
    "dismiss": ("Dismiss", "Kataa"),
    "confirm_help": ("It was an incident.", "Lilikuwa tukio kweli."),
    "dismiss_help": (
        "It was none: it stays in the list, and the overview says no more of it.",
        "Halikuwa tukio: litabaki kwenye orodha, lakini muhtasari hautalitaja tena.",
    ),
    "only_note_help": ("Say something without judging.", "Sema jambo bila kuamua."),
    "only_note": ("Only note", "Maelezo tu"),
    "not_kept": ("Not kept: {reason}.", "Haijahifadhiwa: {reason}."),
    "missing_note": ("write a note first", "andika maelezo kwanza"),
    "kept": ("Kept on incident {id}", "Imehifadhiwa kwa tukio {id}"),
    "notes": ("What people said of it", "Waliyosema watu kulihusu"),
    "notes_none": ("Nobody has said anything of it yet.", "Hakuna aliyesema lolote bado."),
    "reading": ("Reading the store …", "Inasoma hifadhi …"),
    "failed": ("The page cannot read the store: {reason}", "Ukurasa hauwezi kusoma hifadhi: {reason}"),
    "unlabelled": (
        "{waiting:,} posts are stored, none is labelled yet: run `tracker classify`, or `tracker run` for the whole service.",
        "Machapisho {waiting:,} yamehifadhiwa, hakuna yenye lebo bado: endesha `tracker classify` au `tracker run`.",
    ),
    "model": ("Labels by {model}", "Lebo na {model}"),
    "column_at": ("When (EAT)", "Lini (EAT)"),
    "column_text": ("Text", "Maandishi"),
    "text_erased": ("(text removed by retention)", "(maandishi yameondolewa kwa muda wa kuhifadhi)"),
    "column_problems": ("Problems", "Matatizo"),
    "column_sentiment": ("Sentiment", "Hisia"),
    "column_lang": ("Language", "Lugha"),
    "column_services": ("Services", "Huduma"),
    "column_unsure": ("Unsure", "Si hakika"),
    "column_corrected": ("Corrected", "Sahihisho"),
    "column_link": ("Post", "Chapisho"),
    "open": ("open", "fungua"),
    "column_who": ("Who", "Nani"),
    "column_status": ("Status", "Hali"),
    "column_scope": ("To", "Kwa"),
    "column_source": ("Source", "Chanzo"),
    "page_overview": ("Overview", "Muhtasari"),
    "page_review": ("Review", "Mapitio"),
    "review": ("Posts to review", "Machapisho ya kupitia"),
    "review_note": (
        "The model is unsure of these posts. What you settle here counts at once, everywhere, and wins over any model. "
        "Settling a post unchanged confirms what the model said.",
        "Modeli haina uhakika na machapisho haya. Unachoamua hapa huhesabiwa mara moja, kila mahali, na hushinda modeli yoyote. "
        "Ukiamua bila kubadilisha, unathibitisha ilichosema modeli.",
    ),
    "review_waiting": ("Waiting", "Yanasubiri"),
    "review_settled": ("Settled by people", "Yaliyoamuliwa na watu"),
    "review_skipped": ("Skipped by you", "Uliyoruka"),
    "review_empty": (
        "No post waits: the model is unsure of none that nobody has settled.",
        "Hakuna chapisho linalosubiri: hakuna ambalo modeli haina uhakika nalo na halijaamuliwa.",
    ),
    "review_all_skipped": (
        "Only the posts that you skipped are left.",
        "Yamebaki yale uliyoruka tu.",
    ),
    "review_again": ("Show them again", "Yaonyeshe tena"),
    "review_post": ("{at} EAT · {source} · {lang}", "{at} EAT · {source} · {lang}"),
    "review_services": ("Services named: {services}", "Huduma zilizotajwa: {services}"),
    "review_said": ("What {model} says", "Ilichosema {model}"),
    "column_field": ("Question", "Swali"),
    "column_label": ("Answer", "Jibu"),
    "column_score": ("How sure", "Uhakika"),
    "review_threshold": (
        "Each problem counts from a threshold of its own on, which may lie above 50 %.",
        "Kila tatizo huhesabiwa kuanzia kiwango chake cha uhakika, ambacho huenda kikazidi asilimia 50.",
    ),
    "review_yours": ("What is right", "Kilicho sahihi"),
    "field_problems": ("Problems", "Matatizo"),
    "field_kind": ("Kind of message", "Aina ya ujumbe"),
    "field_sentiment": ("Sentiment", "Hisia"),
    "field_about": ("Whose service", "Huduma ya nani"),
    "field_status": ("Status that the office gives", "Hali inayotolewa na ofisi"),
    "field_scope": ("Said to", "Kwa nani"),
    "no_problem_named": ("no problem named", "hakuna tatizo lililotajwa"),
    "choose": ("choose", "chagua"),
    "who": ("Your name", "Jina lako"),
    "who_help": (
        "Kept as a keyed hash only, so that the words of one analyst can be told from those of another.",
        "Huhifadhiwa kama msimbo tu, ili maamuzi ya mchambuzi mmoja yatofautishwe na ya mwingine.",
    ),
    "why": (
        "Why (optional; personal data in it is redacted, names are not)",
        "Kwa nini (si lazima; taarifa binafsi hufichwa, majina hayafichwi)",
    ),
    "settle": ("Settle", "Amua"),
    "skip": ("Skip", "Ruka"),
    "review_missing": ("Not settled: {reason}.", "Haijaamuliwa: {reason}."),
    "missing_who": ("type your name first", "andika jina lako kwanza"),
    "missing_official": (
        "an official message needs a status and to whom it was said",
        "ujumbe rasmi unahitaji hali na kwa nani ulisemwa",
    ),
    "settled": ("Settled: {key}", "Imeamuliwa: {key}"),
}

# Names of labels as people read them.
_LABELS: dict[str, tuple[str, str]] = {
    "outage": ("outage", "mfumo kuzimwa"),
    "lockout": ("lockout", "kushindwa kuingia"),
    "payment": ("payment", "malipo"),
    "slow": ("slow", "mwendo wa polepole"),
    "delay": ("delay", "kuchelewa"),
    "service_error": ("service error", "hitilafu ya huduma"),
    "support": ("support", "usaidizi"),
    "security": ("security", "usalama"),
    "none named": ("none named", "halijatajwa"),
    "negative": ("negative", "hasi"),
    "neutral": ("neutral", "wastani"),
    "positive": ("positive", "chanya"),
    "complaint": ("complaint", "lalamiko"),
    "question": ("question", "swali"),
    "recovery": ("works again", "imerudi kufanya kazi"),
    "praise": ("praise", "sifa"),
    "official": ("official message", "ujumbe rasmi"),
    "news": ("news", "habari"),
    "rumour": ("rumour", "uvumi"),
    "opinion": ("opinion", "maoni"),
    "promotion": ("promotion", "tangazo la biashara"),
    "other": ("other", "nyingine"),
    "ecitizen": ("eCitizen", "eCitizen"),
    "government": ("other government service", "huduma nyingine ya serikali"),
    "dependency": ("M-Pesa, bank or network", "M-Pesa, benki au mtandao"),
    "unrelated": ("about none of these services", "haihusu huduma hizi"),
    "repost": ("passed on from another", "limesambazwa kutoka kwa mwingine"),
    "official_unlisted": ("sounds official, by nobody on the list", "kama rasmi, lakini akaunti haimo kwenye orodha"),
    "official_elsewhere": ("official account, about something else", "akaunti rasmi, kuhusu jambo lingine"),
    "acknowledged": ("acknowledged", "imekiriwa"),
    "update": ("update", "taarifa"),
    "resolved": ("resolved", "imetatuliwa"),
    "workaround": ("workaround", "njia mbadala"),
    "maintenance": ("maintenance", "matengenezo"),
    "denial": ("denial", "kanusho"),
    "notice": ("notice", "tangazo"),
    "help": ("help", "msaada"),
    "statement": ("everyone", "wote"),
    "reply": ("one person", "mtu mmoja"),
}


def say(language: str, name: str, **values: object) -> str:
    """The text `name` in a language of LANGUAGES, with its values filled in."""
    english, kiswahili = _TEXTS[name]
    return (kiswahili if language == "sw" else english).format(**values)


def label_name(language: str, label: str) -> str:
    """A label as people read it; a label without a name of its own stays as it is."""
    english, kiswahili = _LABELS.get(label, (label, label))
    return kiswahili if language == "sw" else english


def shown_time(moment: datetime | None, language: str, precision: str = "minute", *, year: bool = True) -> str:
    """A moment in East Africa Time, no finer than it is known: `Thu 05 Mar 2026 09:20`, `Thu 05 Mar 2026 09:00–10:00`, `Thu 05 Mar 2026`."""
    if moment is None:
        return say(language, "never")
    local = moment.astimezone(NAIROBI)
    weekday = say(language, "weekdays").split()[local.isoweekday() % 7]
    day = f"{weekday} {local:%d} {say(language, 'months').split()[local.month - 1]}{local.strftime(' %Y') if year else ''}"
    clock = {
        "day": "",
        "hour": f" {local:%H}:00–{local + timedelta(hours=1):%H}:00",
        "minute": f" {local:%H:%M}",
    }
    return day + clock[precision]
