# Completion of queuectl for bash 4.4 and later.
#
# queuectl itself is asked what fits, in a line: what it is, a tab, and the word. It
# gets the line as it is typed up to the cursor: bash's own words are cut at = and :
_queuectl_completion() {
    local line=${COMP_LINE:0:${COMP_POINT:-0}} cur=${2-} type value
    if [[ -z $line ]]; then
        local IFS=' '
        line="${COMP_WORDS[*]:0:COMP_CWORD+1}"
        line=${line// = /=}
    fi
    COMPREPLY=()
    while IFS=$'\t' read -r type value _; do
        case $type in
            plain) COMPREPLY+=("$value") ;;
            joined) COMPREPLY+=("$value") && compopt -o nospace 2>/dev/null ;;
            dir) compopt -o dirnames 2>/dev/null ;;
            file) compopt -o default 2>/dev/null ;;
            command)
                local IFS=$'\n'
                COMPREPLY+=($(compgen -c -- "$cur"))
                compopt -o default 2>/dev/null
                ;;
        esac
    done < <(
        _QUEUECTL_COMPLETE=bash_complete _QUEUECTL_LINE="$line" \
            _QUEUECTL_BREAKS="$COMP_WORDBREAKS" "${1/#\~/$HOME}" 2>/dev/null
    )
}

complete -o nosort -F _queuectl_completion queuectl
