"""What is asked of an agent whose description is quoted as a whole, in the languages that descriptions are in.

A description in a language that is not among them is quoted alone: no task is half in one language and half in another.
"""

from __future__ import annotations

import re
import unicodedata

from workbench.trial.sentences import language_of

WHOLE = {
    "ja": "あなたについて、次のように説明されています。\n\n{quoted}\n\n{ask}",
    "ko": "당신은 다음과 같이 설명되어 있습니다.\n\n{quoted}\n\n{ask}",
    "zh": "对你的描述如下:\n\n{quoted}\n\n{ask}",
    "en": "I was told this about you: {quoted}\n\n{ask}",
    "de": "Über dich wurde mir dies gesagt: {quoted}\n\n{ask}",
    "fr": "Voici ce qu’on m’a dit de toi : {quoted}\n\n{ask}",
    "es": "Esto me han dicho de ti: {quoted}\n\n{ask}",
    "pt": "Isto disseram-me de ti: {quoted}\n\n{ask}",
    "it": "Di te mi è stato detto questo: {quoted}\n\n{ask}",
}
"""By language, what introduces a description; `{quoted}` and `{ask}` are filled in."""
ASKS = {
    "ja": (
        "自分で選んだ小さな例を使い、どのように進めるかを示してください。",
        "この種の仕事をお願いしたいのですが、まだ詳細をお伝えしていません。始める前に何を知る必要がありますか。",
        "この仕事で最もよく起こる間違いは何ですか。それぞれにどう気づきますか。",
        "この仕事で最も大切なことを、初めての人に短く説明してください。",
        "この仕事に三十分しかないとしたら、何をして、何を省きますか。",
        "この仕事が終わったと、何を見て判断しますか。",
        "二つのやり方で迷う典型的な場面を一つ挙げ、どちらを選ぶかと、その理由を教えてください。",
        "この仕事を頼むときに、お渡しするものを一覧にしてください。",
        "この仕事のうち、引き受けないことと、そのときに勧める相手を教えてください。",
        "この仕事の成果を受け取ったとき、最初にどこを確かめればよいですか。",
    ),
    "ko": (
        "직접 고른 작은 예로 어떻게 진행하는지 보여 주세요.",
        "이런 일을 맡기고 싶은데 아직 자세한 내용을 말하지 않았습니다. 시작하기 전에 무엇을 알아야 합니까?",
        "이 일에서 가장 자주 생기는 실수는 무엇이며, 각각 어떻게 알아차립니까?",
        "이 일에서 가장 중요한 점을 처음인 사람에게 짧게 설명해 주세요.",
        "이 일에 삼십 분밖에 없다면 무엇을 하고 무엇을 빼겠습니까?",
        "이 일이 끝났다는 것을 무엇을 보고 판단합니까?",
        "두 가지 방법 사이에서 망설이는 전형적인 경우를 하나 들고, 어느 쪽을 왜 고르는지 알려 주세요.",
        "이 일을 맡길 때 제가 넘겨 드려야 할 것을 목록으로 적어 주세요.",
        "이 일 가운데 맡지 않는 것과, 그때 누구에게 물어보라고 하는지 알려 주세요.",
        "이 일의 결과를 받으면 무엇부터 확인해야 합니까?",
    ),
    "zh": (
        "请选一个你自己的小例子, 展示你会怎么做。",
        "我有这类工作要交给你, 但还没有说明细节。开始之前你需要知道什么?",
        "这类工作中最常见的错误有哪些? 你会怎么发现每一个?",
        "请向新手简短说明这类工作中最重要的是什么。",
        "如果这类工作只有三十分钟, 你会做什么, 又会省去什么?",
        "你根据什么判断这类工作已经完成?",
        "请举一个在两种做法之间难以取舍的典型情况, 说明你选哪一种以及原因。",
        "把这类工作交给你时, 我需要提供什么? 请列出清单。",
        "这类工作中有哪些你不接, 那时你会建议去找谁?",
        "拿到这类工作的结果时, 我应该先检查什么?",
    ),
    "en": (
        "Take a small example of your own, and show me on it how you go about this.",
        "I have work of this kind for you, and have told you nothing of it yet. What do you need to know first?",
        "Which mistakes are made most often in this, and how would you notice each of them?",
        "Tell somebody who is new to this, in a few sentences, what matters most.",
        "There is half an hour for this and no more. What do you do, and what do you leave out?",
        "How do you tell that this is done, and done well?",
        "Name a case in which two ways of doing this are both tempting, and say which one you take and why.",
        "List what I am to hand you when I give you work of this kind.",
        "What that is near to this do you not take on, and whom do you send me to?",
        "You hand me what came of such work. What am I to check first, and how?",
    ),
    "de": (
        "Nimm ein kleines eigenes Beispiel und zeig mir daran, wie du vorgehst.",
        "Ich habe Arbeit dieser Art für dich und dir noch nichts davon erzählt. Was musst du zuerst wissen?",
        "Welche Fehler werden dabei am häufigsten gemacht, und woran würdest du jeden davon erkennen?",
        "Erkläre jemandem, der neu darin ist, in wenigen Sätzen, worauf es am meisten ankommt.",
        "Dafür ist eine halbe Stunde Zeit und nicht mehr. Was tust du, und was lässt du weg?",
        "Woran erkennst du, dass die Arbeit getan und gut getan ist?",
        "Nenne einen Fall, in dem zwei Wege gleich verlockend sind, und sag, welchen du nimmst und warum.",
        "Liste auf, was ich dir geben muss, wenn ich dir solche Arbeit übergebe.",
        "Was, das dem nahe liegt, übernimmst du nicht, und an wen verweist du mich?",
        "Du übergibst mir das Ergebnis solcher Arbeit. Was soll ich zuerst prüfen, und wie?",
    ),
    "fr": (
        "Prends un petit exemple de ton choix et montre-moi dessus comment tu procèdes.",
        "J’ai un travail de ce genre pour toi et ne t’en ai encore rien dit. Que dois-tu savoir d’abord ?",
        "Quelles erreurs y fait-on le plus souvent, et comment remarquerais-tu chacune ?",
        "Explique en quelques phrases, à quelqu’un qui débute, ce qui compte le plus.",
        "Il y a une demi-heure pour cela, pas plus. Que fais-tu, et que laisses-tu de côté ?",
        "À quoi vois-tu que ce travail est fini, et bien fait ?",
        "Donne un cas où deux façons de faire sont aussi tentantes, et dis laquelle tu choisis et pourquoi.",
        "Fais la liste de ce que je dois te remettre quand je te confie un tel travail.",
        "Qu’est-ce qui en est proche et que tu ne prends pas, et vers qui m’envoies-tu ?",
        "Tu me remets le résultat d’un tel travail. Que dois-je vérifier d’abord, et comment ?",
    ),
    "es": (
        "Toma un pequeño ejemplo tuyo y muéstrame con él cómo procedes.",
        "Tengo un trabajo de este tipo para ti y aún no te he contado nada. ¿Qué necesitas saber primero?",
        "¿Qué errores se cometen más a menudo en esto, y cómo notarías cada uno?",
        "Explica en pocas frases, a alguien que empieza, qué es lo que más importa.",
        "Hay media hora para esto y nada más. ¿Qué haces y qué dejas fuera?",
        "¿Cómo sabes que este trabajo está terminado, y bien hecho?",
        "Nombra un caso en el que dos maneras de hacerlo tienten por igual, y di cuál eliges y por qué.",
        "Haz una lista de lo que debo entregarte cuando te encargo un trabajo así.",
        "¿Qué cosa parecida no aceptas, y a quién me envías entonces?",
        "Me entregas el resultado de un trabajo así. ¿Qué debo comprobar primero, y cómo?",
    ),
    "pt": (
        "Pega num pequeno exemplo teu e mostra-me com ele como procedes.",
        "Tenho um trabalho deste tipo para ti e ainda não te contei nada. O que precisas de saber primeiro?",
        "Que erros se cometem mais vezes nisto, e como notarias cada um?",
        "Explica em poucas frases, a quem está a começar, o que mais importa.",
        "Há meia hora para isto e não mais. O que fazes e o que deixas de fora?",
        "Como sabes que este trabalho está terminado, e bem feito?",
        "Dá um caso em que duas maneiras de o fazer tentam por igual, e diz qual escolhes e porquê.",
        "Faz uma lista do que te devo entregar quando te confio um trabalho destes.",
        "Que coisa parecida não aceitas, e a quem me mandas então?",
        "Entregas-me o resultado de um trabalho destes. O que devo verificar primeiro, e como?",
    ),
    "it": (
        "Prendi un piccolo esempio tuo e mostrami su di esso come procedi.",
        "Ho un lavoro di questo tipo per te e non te ne ho ancora detto nulla. Che cosa devi sapere prima?",
        "Quali errori si fanno più spesso in questo, e come noteresti ciascuno?",
        "Spiega in poche frasi, a chi è alle prime armi, che cosa conta di più.",
        "C’è mezz’ora per questo e non di più. Che cosa fai, e che cosa tralasci?",
        "Da che cosa capisci che questo lavoro è finito, e ben fatto?",
        "Cita un caso in cui due modi di farlo tentano allo stesso modo, e di’ quale scegli e perché.",
        "Elenca che cosa devo consegnarti quando ti affido un lavoro così.",
        "Quale cosa simile non accetti, e da chi mi mandi allora?",
        "Mi consegni il risultato di un lavoro così. Che cosa devo controllare per prima, e come?",
    ),
}
"""By language, what can be asked of any work, the first of an example, as many as there are tasks at least."""
_SCRIPTS = {"ja": "[\u3041-\u30ff]", "ko": "[\uac00-\ud7af]", "zh": "[\u4e00-\u9fff]"}
"""By language, the characters by which it is known, the first that is there before the others."""
_FEWEST_OF_SCRIPT = 5
"""Characters of a script that a description has where it is written in it."""
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")


def language_of_description(text: str) -> str | None:
    """The language of `ASKS` that a description is in, English where too little tells of another; `None`: it is in none
    of them."""
    words = len(_LATIN_WORD.findall(text))
    for language, characters in _SCRIPTS.items():
        count = len(re.findall(characters, text))
        if count >= _FEWEST_OF_SCRIPT and (count > words or (language == "ja" and 2 * count > words)):
            return language
    known = language_of(text)
    if known is not None:
        return known if known in ASKS else None
    letters = [character for character in text if character.isalpha()]
    foreign = sum("LATIN" not in unicodedata.name(letter, "") for letter in letters)
    accented = sum(not letter.isascii() for letter in letters)
    return None if 2 * foreign > len(letters) or 30 * accented > len(letters) else "en"
