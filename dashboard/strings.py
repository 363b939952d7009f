"""Every text of the pages, in English and Kiswahili."""

from __future__ import annotations

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
        "Each person once in a bar, under the problem that the model is surest of. People posting, not people affected. "
        "Above: official messages, as wide as their time is known (a whole day where no hour is). Grey: nobody looked. "
        "Click a bar to read its posts.",
        "Kila mtu mara moja kwa kila mhimili, chini ya tatizo ambalo modeli ina uhakika nalo zaidi. Ni watu wanaochapisha, si wote walioathirika. "
        "Juu: ujumbe rasmi, kwa upana wa muda unaojulikana. Kijivu: hakuna aliyeangalia. Bofya mhimili usome machapisho.",
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
        "Nothing that they write is taken for an official message. A suspicion is no proof: open the post and judge.",
        "Chochote wanachoandika hakichukuliwi kuwa ujumbe rasmi. Shaka si uthibitisho: fungua chapisho uamue.",
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
    "column_corrected": ("Corrected", "Imesahihishwa"),
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
